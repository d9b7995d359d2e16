/** Begins the console lines with which a page reports progress to Node. */
export const PROGRESS_MARK = 'skipstone-progress:'

import type { Plugin } from 'vite'

export const shaderText: Plugin

/** The placement room's only door. */
export * from './types.ts';

/** The erasure room's only door. */
export * from './types.ts';
export * from './profile.ts';

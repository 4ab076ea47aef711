/** The part of the WebAssembly JavaScript interface that is used here; neither es2024 nor @types/node declares it. */
declare namespace WebAssembly {
  const Module: new (code: Uint8Array<ArrayBuffer>) => object;
  const Instance: new (module: object) => { readonly exports: unknown };
  interface Memory {
    /** Another one, the old detached, after each grow(). */
    readonly buffer: ArrayBuffer;
    /** @throws RangeError when there is no more memory */
    grow(pages: number): number;
  }
  /** @throws RangeError when there is no more memory */
  const Memory: new (pages: { readonly initial: number; readonly maximum: number }) => Memory;
  function validate(code: Uint8Array<ArrayBuffer>): boolean;
}

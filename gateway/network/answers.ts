import { Refusal } from './refusal.ts';

/** Long answers on their way: who asks again and again and reads nothing holds no more than a few of them in memory. */
export class Answers {
  readonly #max: number;
  readonly #underWay = new Map<string, number>();

  /** @param max to one signer */
  constructor(max: number) {
    this.#max = max;
  }

  /**
   * @param signer whose signature has been verified, or others could take its place
   * @returns to be called once the answer is sent, or its receiver gone
   * @throws Refusal 'Unavailable'
   */
  begin(signer: string): () => void {
    const others = this.#underWay.get(signer) ?? 0;
    if (others >= this.#max) {
      throw new Refusal('Unavailable', 'answers to this signer are still under way: read them first');
    }
    this.#underWay.set(signer, others + 1);
    return () => this.#end(signer);
  }

  #end(signer: string): void {
    const left = (this.#underWay.get(signer) ?? 0) - 1;
    if (left > 0) this.#underWay.set(signer, left);
    else this.#underWay.delete(signer);
  }
}

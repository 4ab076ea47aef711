import { domainName, NODES_EACH } from './domains.ts';
import { DOMAIN_LEVELS, type Domain } from '../types.ts';

/** Numbers for the domains of all levels, in one count. Tables that follow each other share them. */
export class DomainNumbers {
  readonly #byName = DOMAIN_LEVELS.map(() => new Map<string, number>());
  readonly #byDomain = new WeakMap<Domain, readonly number[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** The numbers of a provider's domains, in the order of DOMAIN_LEVELS; new ones where they are new. */
  of(domain: Domain): readonly number[] {
    let numbers = this.#byDomain.get(domain);
    if (!numbers) {
      numbers = DOMAIN_LEVELS.map((level, at) => this.#number(at, domainName(domain, level)));
      this.#byDomain.set(domain, numbers);
    }
    return numbers;
  }

  /** Those of a provider's domains that have a number. */
  known(domain: Domain): number[] {
    return DOMAIN_LEVELS.flatMap((level, at) => this.#byName[at]!.get(domainName(domain, level)) ?? []);
  }

  /** Numbers of many, NODES_EACH for each. */
  table(domains: readonly Domain[]): Int32Array {
    const table = new Int32Array(domains.length * NODES_EACH);
    for (let index = 0; index < domains.length; index++)
      table.set(this.of(domains[index]!), index * NODES_EACH);
    return table;
  }

  #number(level: number, name: string): number {
    const numbers = this.#byName[level]!;
    let number = numbers.get(name);
    if (number === undefined) numbers.set(name, (number = this.#count++));
    return number;
  }
}

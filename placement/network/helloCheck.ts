import { randomBytes } from 'node:crypto';
import { Agent, request } from 'undici';
import { decodeSigned, helloSchema, helloStatementSchema, SIGNED_HEADER } from '../provider/wire.ts';
import { checkEndpoint, portOf, type AddressRules } from './addressRules.ts';
import { NetworkError } from './errors.ts';
import { guardedConnector } from './guardedConnector.ts';
import { openStatement, parseMessage } from './signed.ts';

const HELLO_MS_MAX = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;
const BODY_BYTES_MAX = 4 * 1024;
/** Strangers make the gateway call: not more at once. */
const CALLS_MAX = 32;

/** Asks an address whether a party really is there, before the address is believed. */
export class HelloCheck {
  readonly #rules: AddressRules;
  readonly #agent: Agent;
  #calls = 0;

  constructor(rules: AddressRules) {
    this.#rules = rules;
    this.#agent = new Agent({
      connect: (options, done) => guardedConnector(rules, portOf(options), HELLO_MS_MAX)(options, done),
      headersTimeout: HELLO_MS_MAX,
      bodyTimeout: HELLO_MS_MAX,
      maxHeaderSize: HEADER_BYTES_MAX,
      maxResponseSize: BODY_BYTES_MAX,
      connections: 1,
      pipelining: 0,
    });
  }

  /**
   * The provider's time at its address.
   * @throws NetworkError 'Refused' for an address that may not be called, 'Conflict' when another identity signs there, 'Unavailable' when the
   * party is not there
   */
  async ask(endpoint: string, publicKey: string): Promise<number> {
    await checkEndpoint(endpoint, this.#rules);
    if (this.#calls >= CALLS_MAX)
      throw new NetworkError('Unavailable', 'too many addresses are being checked');
    this.#calls += 1;
    try {
      return await this.#ask(endpoint, publicKey);
    } catch (error) {
      if (error instanceof NetworkError && error.kind === 'Conflict') throw error;
      // What else is there, or why it does not answer, is nothing to tell a stranger.
      throw new NetworkError('Unavailable', `no provider with this identity answers at ${endpoint}`, {
        cause: error,
      });
    } finally {
      this.#calls -= 1;
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask(endpoint: string, publicKey: string): Promise<number> {
    const nonce = randomBytes(32).toString('hex');
    const answer = await request(`${endpoint}/v1/hello?nonce=${nonce}`, {
      dispatcher: this.#agent,
      signal: AbortSignal.timeout(HELLO_MS_MAX),
    });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new NetworkError('Unavailable', `status ${answer.statusCode}`);
    const hello = parseMessage(helloSchema, JSON.parse(text));
    const header = answer.headers[SIGNED_HEADER];
    const statement = typeof header === 'string' ? decodeSigned(header) : undefined;
    const signed = openStatement(statement, 'hello', helloStatementSchema);
    if (signed.value.nonce !== nonce || signed.value.session !== hello.session) {
      throw new NetworkError('BadIdentity', 'an old answer');
    }
    // A provider tells anyone who it is: that it is another one gives nothing away.
    if (signed.publicKey !== publicKey) {
      throw new NetworkError('Conflict', `another provider than this one answers at ${endpoint}`);
    }
    return hello.time;
  }
}

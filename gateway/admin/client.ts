import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { findAddress } from './address.ts';
import type { AdminAddress, GatewayStatus, JobProgress, JobReport, KeyInfo } from './types.ts';

/** The gateway cannot be asked: none runs on this data folder, or it does not answer. */
export class NoGatewayError extends Error {
  override readonly name = 'NoGatewayError';
}

/** Talks to the gateway that has the data folder open. */
export class AdminClient {
  readonly #address: AdminAddress;

  private constructor(address: AdminAddress) {
    this.#address = address;
  }

  /** @throws NoGatewayError */
  static async connect(data: string): Promise<AdminClient> {
    const address = await findAddress(data);
    if (address === undefined) throw new NoGatewayError(`No gateway is running on ${data}`);
    return new AdminClient(address);
  }

  async status(): Promise<GatewayStatus> {
    return (await this.#json('GET', '/v1/status')) as GatewayStatus;
  }

  async get(path: string): Promise<unknown> {
    return await this.#json('GET', path);
  }

  async post(path: string, body: object): Promise<unknown> {
    return await this.#json('POST', path, body);
  }

  async remove(path: string): Promise<void> {
    await this.#json('DELETE', path);
  }

  async keys(): Promise<KeyInfo[]> {
    return (await this.#json('GET', '/v1/keys')) as KeyInfo[];
  }

  async createKey(name: string): Promise<{ accessKey: string; secretKey: string }> {
    return (await this.#json('POST', '/v1/keys', { name })) as { accessKey: string; secretKey: string };
  }

  async removeKey(accessKey: string): Promise<void> {
    await this.#json('DELETE', `/v1/keys/${encodeURIComponent(accessKey)}`);
  }

  async enableKey(accessKey: string, enabled: boolean): Promise<void> {
    await this.#json('PUT', `/v1/keys/${encodeURIComponent(accessKey)}`, { enabled });
  }

  /** Runs a job to its end. @throws Error with the job's own message when it fails */
  async run(
    job: string,
    options: Readonly<Record<string, unknown>>,
    onProgress: (progress: JobProgress) => void,
  ): Promise<JobReport> {
    const response = await this.#fetch(`/v1/jobs/${job}`, {
      method: 'POST',
      body: JSON.stringify(options),
      headers: { 'content-type': 'application/json' },
    });
    if (!response.ok || response.body === null) throw new Error(await errorText(response));
    for await (const line of linesOf(response.body)) {
      const event = JSON.parse(line) as { progress?: JobProgress; report?: JobReport; error?: string };
      if (event.progress !== undefined) onProgress(event.progress);
      if (event.error !== undefined) throw new Error(event.error);
      if (event.report !== undefined) return event.report;
    }
    throw stopped();
  }

  async #json(method: string, path: string, body?: object): Promise<unknown> {
    const response = await this.#fetch(path, {
      method,
      ...(body !== undefined && {
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }),
    });
    if (!response.ok) throw new Error(await errorText(response));
    return response.status === 204 ? undefined : await response.json();
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${this.#address.token}`);
    try {
      return await fetch(new URL(path, this.#address.url), { ...init, headers });
    } catch (error) {
      throw new NoGatewayError(
        `The gateway that had the data folder open (pid ${this.#address.pid}, ${this.#address.url}) does not answer`,
        { cause: error },
      );
    }
  }
}

/** @throws NoGatewayError when the connection breaks: its process has ended */
async function* linesOf(body: ReadableStream): AsyncGenerator<string, void, undefined> {
  try {
    yield* createInterface({ input: Readable.fromWeb(body), crlfDelay: Infinity });
  } catch (cause) {
    throw stopped({ cause });
  }
}

function stopped(options?: ErrorOptions): NoGatewayError {
  return new NoGatewayError('The gateway stopped before the job was done; it can be started again', options);
}

async function errorText(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { error?: string };
  return body.error ?? `The gateway answered ${response.status}`;
}

import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { findAddress } from './address.ts';
import type { AdminAddress, GatewayStatus, JobProgress, JobReport } from './types.ts';

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
    const response = await this.#fetch('/v1/status', {});
    if (!response.ok) throw new Error(await errorText(response));
    return (await response.json()) as GatewayStatus;
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
    const lines = createInterface({ input: Readable.fromWeb(response.body), crlfDelay: Infinity });
    for await (const line of lines) {
      const event = JSON.parse(line) as { progress?: JobProgress; report?: JobReport; error?: string };
      if (event.progress !== undefined) onProgress(event.progress);
      if (event.error !== undefined) throw new Error(event.error);
      if (event.report !== undefined) return event.report;
    }
    throw new NoGatewayError('The gateway stopped before the job was done; it can be started again');
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

async function errorText(response: Response): Promise<string> {
  const body = (await response.json().catch(() => ({}))) as { error?: string };
  return body.error ?? `The gateway answered ${response.status}`;
}

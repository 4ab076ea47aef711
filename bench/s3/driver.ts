import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Endpoint, Message, Outcome, Request, Task } from './types.ts';

export interface Hooks {
  readonly began?: () => void;
  readonly progress?: (done: number, of: number) => void;
}

/** The load generator in its process. One task at a time. */
export class Driver {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<
    number,
    {
      readonly take: (message: Message) => void;
      readonly fail: (error: Error) => void;
    }
  >();
  #number = 0;

  constructor() {
    this.#child = fork(new URL('../loadGenerator.ts', import.meta.url), {
      execArgv: ['--conditions=shardway-source'],
      // JSON would make null of Infinity.
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child.on('message', (message: Message) => this.#waiting.get(message.id)?.take(message));
    this.#child.on('exit', () => {
      for (const { fail } of this.#waiting.values()) fail(new Error('the load generator ended'));
    });
  }

  /** @throws Error when a preparation fails; the failures of a load are counted in its outcome */
  async run(endpoint: Endpoint, bucket: string, task: Task, hooks: Hooks = {}): Promise<Outcome> {
    const id = this.#number++;
    const request: Request = { id, endpoint, bucket, task };
    try {
      return await new Promise<Outcome>((resolve, reject) => {
        const take = (message: Message): void => {
          if (message.kind === 'began') hooks.began?.();
          else if (message.kind === 'progress') hooks.progress?.(message.done, message.of);
          else if (message.kind === 'ended') resolve(message.outcome);
          else reject(new Error(message.error));
        };
        this.#waiting.set(id, { take, fail: reject });
        this.#child.send(request);
      });
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Ends the process. */
  stop(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }
}

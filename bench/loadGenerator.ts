/** The process that drives a server: one of its own, so that its work is not the gateway's nor the measuring process's. Started by bench/s3/driver.ts. */
import { runTask } from './s3/tasks.ts';
import type { Message, Request } from './s3/types.ts';

const PROGRESS_MS = 1000;

const tell = (message: Message): void => void process.send?.(message);

async function answer({ id, endpoint, bucket, task }: Request): Promise<void> {
  let told = performance.now();
  try {
    const outcome = await runTask(endpoint, bucket, task, {
      began: () => tell({ id, kind: 'began' }),
      progress: (done, of) => {
        if (performance.now() - told < PROGRESS_MS) return;
        told = performance.now();
        tell({ id, kind: 'progress', done, of });
      },
    });
    tell({ id, kind: 'ended', outcome });
  } catch (error) {
    tell({ id, kind: 'broke', error: (error as Error).message });
  }
}

process.on('message', (request: Request) => void answer(request));
process.on('disconnect', () => process.exit());

/** What a gateway's parent process and its workers tell each other. */
import type { Summary } from './banner.ts';
import type { MetricValues } from './allMetrics.ts';

export type ToWorker =
  /** The first, in answer to 'hello'. `group` names the workers of this parent; `workers` is how many share the machine. */
  | { readonly kind: 'begin'; readonly group: string; readonly workers: number; readonly admin: boolean }
  /** Answer for the gateway on the admin listener, or no longer. */
  | { readonly kind: 'admin'; readonly on: boolean }
  /** A worker has ended, whose session this was. */
  | { readonly kind: 'exited'; readonly session: string }
  | { readonly kind: 'unready' }
  | { readonly kind: 'stop'; readonly drainMs: number }
  /** Asks for the worker's metrics; the other brings those of all others. */
  | { readonly kind: 'collect'; readonly id: number }
  | { readonly kind: 'collected'; readonly id: number; readonly all: readonly MetricValues[] };

export type FromWorker =
  | { readonly kind: 'hello' }
  | { readonly kind: 'ready'; readonly session: string; readonly summary: Summary }
  /** Once a second while its event loop turns. */
  | { readonly kind: 'alive' }
  /** It does the background work from now on. */
  | { readonly kind: 'leading' }
  | { readonly kind: 'adminEnded' }
  /** Asks for the others' metrics, and tells its own. */
  | { readonly kind: 'collect'; readonly id: number; readonly own: MetricValues }
  | { readonly kind: 'collected'; readonly id: number; readonly metrics: MetricValues }
  /** The last before it ends. */
  | { readonly kind: 'counted'; readonly metrics: MetricValues };

import { rm } from 'node:fs/promises';
import { onTestFinished } from 'vitest';
import { systemClock, seededRandom } from '#placement';
import { startHyperNode } from '../../../placement/hypernode/hyperNode.ts';
import type {
  HyperNodeEvent,
  HyperNodeOptions,
  RunningHyperNode,
} from '../../../placement/hypernode/types.ts';
import { scratch } from '../directories.ts';
import { ScriptedProvider } from './scriptedProvider.ts';
import { TestGateway } from './testGateway.ts';

/** Work as in an era of an hour, in less than a second. */
const LIMITS = { spreadMs: 300, retryMs: 20, pollMs: 40, probes: 4, connectMs: 2000 };

export async function newGateway(): Promise<TestGateway> {
  const gateway = await new TestGateway().listen();
  onTestFinished(() => gateway.close());
  return gateway;
}

export async function newProvider(): Promise<ScriptedProvider> {
  const provider = await new ScriptedProvider().listen();
  onTestFinished(() => provider.close());
  return provider;
}

export async function newFolder(): Promise<string> {
  const { path, remove } = await scratch();
  onTestFinished(remove);
  return path;
}

export interface WatchedMonitor extends RunningHyperNode {
  /** The first event of a kind, once it has come. */
  event(kind: HyperNodeEvent['kind']): Promise<HyperNodeEvent>;
}

export async function newMonitor(
  gateway: TestGateway,
  options: Partial<HyperNodeOptions> = {},
): Promise<WatchedMonitor> {
  const events: HyperNodeEvent[] = [];
  const waiting = new Set<() => void>();
  const data = options.data ?? (await newFolder());
  const monitor = await startHyperNode({
    gateway: gateway.url,
    operator: 'watcher',
    networkPrefix: '192.0.2.0/24',
    clock: systemClock,
    random: seededRandom(7),
    onEvent: (event) => {
      events.push(event);
      for (const wake of waiting) wake();
    },
    ...options,
    data,
    limits: { ...LIMITS, ...options.limits },
  });
  onTestFinished(() => monitor.stop());
  const event = (kind: HyperNodeEvent['kind']): Promise<HyperNodeEvent> => {
    const { promise, resolve } = Promise.withResolvers<HyperNodeEvent>();
    const look = (): void => {
      const found = events.find((each) => each.kind === kind);
      if (found) resolve(found);
    };
    waiting.add(look);
    look();
    return promise.finally(() => waiting.delete(look));
  };
  return { ...monitor, event };
}

/** Removes a folder, for what is lost. */
export async function lose(path: string): Promise<void> {
  await rm(path, { recursive: true });
}

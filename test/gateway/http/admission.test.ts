import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Admission } from '../../../gateway/http/admission.ts';
import { BURST_WAIT_MS } from '../../../gateway/http/waitingLine.ts';
import type { Ticket } from '../../../gateway/http/door.ts';
import type { RequestClass } from '../../../gateway/http/requestClass.ts';
import type { Standing } from '../../../gateway/http/standing.ts';
import { quantile } from './load.ts';
import { SimulatedServer, randomFrom } from './simulatedServer.ts';
import type { Outcome, Traffic } from './simulatedServer.ts';

const READ = { kind: 'read', again: false } as const;
const WRITE = { kind: 'write', again: false } as const;
/** A twentieth of a small request, as measured. */
const REFUSAL_MS = 0.05;
/** A thousand a second are all that the event loop can do. */
const put = (rate: number): Traffic => ({ name: 'put', visitor: WRITE, work: { loop: 1, far: 5 }, rate });
const get = (rate: number): Traffic => ({ name: 'get', visitor: READ, work: { loop: 1, far: 1 }, rate });

function of(outcomes: ReadonlyMap<string, Outcome>, name: string): Outcome {
  const outcome = outcomes.get(name);
  if (outcome === undefined) throw new Error(`no traffic is named ${name}`);
  return outcome;
}

describe('in virtual time', () => {
  test('ten times the capacity: goodput, latency, refusals at once, a bounded line, and recovery', () => {
    // At ten times the load, what is refused must cost little: what it costs here is 4.5 % of the time.
    const server = new SimulatedServer(REFUSAL_MS / 10);
    server.run(5, [put(400), get(400)]);
    const flood = server.run(20, [put(5000), get(5000)]);
    const served = of(flood, 'put').served + of(flood, 'get').served;
    expect(served / 20).toBeGreaterThan(0.9 * 1000);
    for (const name of ['put', 'get']) {
      expect(quantile(of(flood, name).latencies, 0.5)).toBeLessThan(500);
      expect(of(flood, name).served / 20).toBeGreaterThan(100);
      expect(of(flood, name).refusedAfterMs).toBeLessThanOrEqual(BURST_WAIT_MS + 5);
    }
    expect(server.queuedMax).toBeLessThan(1024);
    server.run(5, [put(400), get(400)]);
    const after = server.run(5, [put(400), get(400)]);
    expect([of(after, 'put').refused, of(after, 'get').refused]).toEqual([0, 0]);
    expect(quantile(of(after, 'get').latencies, 0.99)).toBeLessThan(100);
    expect(Math.min(server.limit('read'), server.limit('write'))).toBeGreaterThanOrEqual(256);
  });

  test('a thousand connections that ask again at once do not take the loop from the work', () => {
    const server = new SimulatedServer(REFUSAL_MS);
    const hammer = (name: string, one: Traffic): Traffic => ({
      ...one,
      name,
      rate: 0,
      clients: 500,
      hammer: true,
    });
    const traffic = [hammer('put', put(0)), hammer('get', get(0))];
    server.run(5, traffic);
    const steady = server.run(20, traffic);
    expect((of(steady, 'put').served + of(steady, 'get').served) / 20).toBeGreaterThan(0.9 * 1000);
  });

  test('writers to a slow disk do not shut out readers, and the disk stays busy', () => {
    const server = new SimulatedServer(REFUSAL_MS);
    const slow: Traffic = { name: 'put', visitor: WRITE, work: { loop: 0.2, disk: 20 }, rate: 1000 };
    server.run(10, [slow, get(500)]);
    const both = server.run(20, [slow, get(500)]);
    expect(of(both, 'get').refused).toBe(0);
    expect(quantile(of(both, 'get').latencies, 0.99)).toBeLessThan(50);
    expect(of(both, 'put').served / 20).toBeGreaterThan(0.9 * 50);
    expect(of(both, 'put').refused).toBeGreaterThan(0);
  });

  test('a far provider is no overload: its latency does not close the door', () => {
    const server = new SimulatedServer(REFUSAL_MS);
    const clients = (far: number): Traffic => ({
      name: 'put',
      visitor: WRITE,
      work: { loop: 0.5, far },
      clients: 200,
    });
    server.run(5, [clients(20)]);
    server.run(15, [clients(1000)]);
    const far = server.run(20, [clients(1000)]);
    expect(of(far, 'put').served / 20).toBeGreaterThan(0.8 * 200);
  });

  test('clients that come back when they are told to all get served, without a third attempt', () => {
    const server = new SimulatedServer(REFUSAL_MS);
    // As many as double what may be in work; each is refused at most now and then.
    const crowd: Traffic = { name: 'put', visitor: WRITE, work: { loop: 1, far: 5 }, clients: 600 };
    const { served, refused } = of(server.run(20, [crowd]), 'put');
    expect(served / 20).toBeGreaterThan(900);
    expect(refused / served).toBeLessThan(0.3);
  });

  test('a flood of strangers leaves room for known clients, and known clients for strangers', () => {
    const stranger = (rate: number): Traffic => ({ ...put(rate), name: 'stranger', standing: 'fresh' });
    const few = new SimulatedServer(REFUSAL_MS).run(20, [put(300), stranger(9000)]);
    expect(of(few, 'put').served).toBeGreaterThan(0.9 * 300 * 20);
    const new_ = new SimulatedServer(REFUSAL_MS).run(20, [put(9000), stranger(20)]);
    expect(of(new_, 'stranger').served).toBeGreaterThan(0.8 * 20 * 20);
  });
});

class Clock {
  now = 0;
  readonly started: Ticket[] = [];
  readonly refused: number[] = [];
  readonly holds: number[] = [];
  readonly admission: Admission;
  constructor(transfersMax = 100, fraction = (): number => 0.5) {
    this.admission = new Admission({
      now: () => this.now,
      fraction,
      transfersMax,
      failedPerSecondMax: 500,
      full: () => false,
    });
  }

  ask(count: number, kind: RequestClass, standing: Standing = 'proven', again = false): void {
    for (let n = 0; n < count; n += 1) {
      this.admission.ask(
        { kind, again },
        standing,
        (ticket) => void this.started.push(ticket),
        ({ retryAfterMs, holdMs }) => {
          this.refused.push(retryAfterMs);
          this.holds.push(holdMs);
        },
      );
    }
  }

  pass(ms: number, memory = 0, busy = 0): void {
    for (const end = this.now + ms; this.now < end; this.now += 5) this.admission.tick({ busy, memory });
  }

  figures(kind: RequestClass): { limit: number; inWork: number; parked: number; queued: number } {
    const found = this.admission.figures().classes.find((one) => one.kind === kind);
    if (found === undefined) throw new Error(`no class ${kind}`);
    return found;
  }
}

describe('admission', () => {
  test('each class has its own limit', () => {
    const clock = new Clock();
    clock.ask(1000, 'write');
    clock.pass(100);
    expect(clock.refused.length).toBe(1000 - 256);
    clock.ask(100, 'read');
    clock.ask(50, 'list');
    expect([clock.figures('read').inWork, clock.figures('list').inWork]).toEqual([100, 50]);
  });

  test('a slow client gives up its place until it goes on', () => {
    const clock = new Clock();
    clock.ask(256, 'write');
    for (const ticket of clock.started) ticket.wait();
    clock.pass(200);
    expect(clock.figures('write')).toMatchObject({ inWork: 0, parked: 256 });
    clock.ask(10, 'write');
    expect(clock.figures('write').inWork).toBe(10);
    clock.started[0]?.resume();
    expect(clock.figures('write')).toMatchObject({ inWork: 11, parked: 255 });
    // A client that has been slow gives its place up at once.
    clock.started[0]?.wait();
    expect(clock.figures('write')).toMatchObject({ inWork: 10, parked: 256 });
    for (const ticket of clock.started) ticket.leave(true);
    expect(clock.figures('write')).toMatchObject({ inWork: 0, parked: 0 });
    expect(clock.admission.idle).toBe(true);
  });

  test('waiting for the client is not counted as latency', () => {
    const clock = new Clock();
    for (let round = 0; round < 40; round += 1) {
      clock.ask(250 - clock.figures('write').inWork, 'write');
      for (const ticket of clock.started) ticket.wait();
      clock.pass(40);
      for (const ticket of clock.started.splice(0)) {
        ticket.resume();
        ticket.leave(true);
      }
    }
    expect(clock.figures('write').limit).toBeGreaterThanOrEqual(256);
    for (let round = 0; round < 2; round += 1) {
      clock.ask(250, 'write');
      clock.pass(400);
      for (const ticket of clock.started.splice(0)) ticket.leave(true);
    }
    clock.pass(300);
    expect(clock.figures('write').limit).toBeLessThan(250);
  });

  test('who comes again finds room where others do not', () => {
    const clock = new Clock();
    clock.ask(300, 'write');
    clock.pass(50);
    expect(clock.started.length).toBe(256);
    clock.ask(30, 'write', 'proven', true);
    expect(clock.started.length).toBe(286);
  });

  test('in a burst the first to come is served first; under overload the last', () => {
    const clock = new Clock();
    const order: number[] = [];
    const line = (from: number, to: number): void => {
      for (let n = from; n < to; n += 1) {
        clock.admission.ask(
          { kind: 'write', again: false },
          'proven',
          () => void order.push(n),
          () => undefined,
        );
      }
    };
    clock.ask(256, 'write');
    line(0, 3);
    clock.started.shift()?.leave(true);
    expect(order).toEqual([0]);
    for (let n = 0; n < 40; n += 1) {
      line(100 + n, 101 + n);
      clock.pass(5);
    }
    line(500, 503);
    clock.started.shift()?.leave(true);
    expect(order.at(-1)).toBe(502);
  });

  test('near the bound of memory new uploads are refused first, and only they', () => {
    const clock = new Clock();
    clock.ask(10, 'transfer');
    clock.pass(10, 0.96);
    clock.ask(1, 'transfer');
    clock.ask(10, 'read');
    clock.ask(10, 'write');
    expect(clock.refused.length).toBe(1);
    expect(clock.admission.figures().refusals).toEqual([{ kind: 'transfer', reason: 'memory', count: 1 }]);
    for (const ticket of clock.started) ticket.leave(true);
    // Memory that stays high without uploads is not for uploads to wait for.
    clock.ask(1, 'transfer');
    expect(clock.refused.length).toBe(1);
  });

  test('strangers that fail authentication are held to a rate while others are served on a busy loop', () => {
    const clock = new Clock();
    const flood = (busy: number): number => {
      const before = clock.refused.length;
      for (let ms = 0; ms < 2000; ms += 5) {
        clock.ask(10, 'read', 'failed');
        clock.ask(1, 'read');
        for (const ticket of clock.started.splice(0)) ticket.leave(false);
        clock.pass(5, 0, busy);
      }
      return clock.refused.length - before;
    };
    expect(flood(0.5)).toBe(0);
    const refused = flood(1);
    expect(refused).toBeGreaterThan(2000);
    expect(refused).toBeLessThan(3000);
  });

  test('answers to clients that do not wait are put off while refusals keep the loop busy, and no longer', () => {
    const clock = new Clock();
    clock.ask(256, 'write');
    const flood = (busy: number, seconds: number): number[] => {
      const seen: number[] = [];
      for (let ms = 0; ms < seconds * 1000; ms += 5) {
        clock.ask(5, 'write');
        clock.started.shift()?.leave(true);
        clock.pass(5, 0, busy);
        seen.push(clock.holds.at(-1) ?? 0);
      }
      return seen;
    };
    expect(Math.max(...flood(0.5, 3))).toBe(0);
    const busy = flood(1, 3);
    expect(busy[0]).toBe(0);
    expect(busy.at(-1)).toBe(1000);
    for (let ms = 0; ms < 10_000; ms += 5) {
      clock.ask(1, 'read');
      clock.started.pop()?.leave(true);
      clock.pass(5, 0, 1);
    }
    clock.ask(200, 'transfer');
    clock.pass(50);
    expect(clock.holds.at(-1)).toBe(0);
  });

  test('Retry-After grows with what is turned away, and is spread', () => {
    const seen = (askedPerTick: number): number[] => {
      const clock = new Clock(100, randomFrom(7));
      for (let n = 0; n < 600; n += 1) {
        clock.ask(askedPerTick, 'write');
        clock.pass(5);
        clock.started.shift()?.leave(true);
      }
      return clock.refused.slice(-200);
    };
    const mild = seen(2);
    const hard = seen(20);
    expect(Math.max(...mild)).toBeLessThanOrEqual(3000);
    expect(Math.max(...hard)).toBeGreaterThan(5000);
    expect(Math.min(...mild, ...hard)).toBeGreaterThanOrEqual(1000);
    expect(new Set(hard).size).toBeGreaterThan(100);
  });

  test('any order of events: each request has one outcome, in time, and limits hold', () => {
    const kind = fc.constantFrom<RequestClass>('read', 'write', 'list', 'transfer');
    const standing = fc.constantFrom<Standing>('proven', 'fresh', 'failed');
    const event = fc.oneof(
      fc.record({
        do: fc.constant('ask' as const),
        count: fc.integer({ min: 1, max: 200 }),
        kind,
        standing,
        again: fc.boolean(),
      }),
      fc.record({
        do: fc.constantFrom('leave' as const, 'wait' as const, 'resume' as const),
        count: fc.integer({ min: 1, max: 100 }),
      }),
      fc.record({ do: fc.constant('pass' as const), count: fc.integer({ min: 1, max: 400 }) }),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const clock = new Clock(50);
        let asked = 0;
        let left = 0;
        for (const one of events) {
          if (one.do === 'ask') {
            clock.ask(one.count, one.kind, one.standing, one.again);
            asked += one.count;
          } else if (one.do === 'pass') clock.pass(one.count);
          else if (one.do === 'leave') {
            for (const ticket of clock.started.splice(0, one.count)) {
              ticket.leave(true);
              ticket.leave(true);
              left += 1;
            }
          } else for (const ticket of clock.started.slice(0, one.count)) ticket[one.do]();
          const classes = clock.admission.figures().classes;
          const queued = classes.reduce((sum, { queued: count }) => sum + count, 0);
          expect(clock.started.length + left + clock.refused.length + queued).toBe(asked);
          expect(clock.figures('transfer').inWork).toBeLessThanOrEqual(63);
          for (const { limit, queued: count } of classes) expect(count).toBeLessThanOrEqual(3 * limit + 3);
        }
        clock.pass(BURST_WAIT_MS + 10);
        expect(clock.admission.figures().classes.every(({ queued }) => queued === 0)).toBe(true);
        for (const ticket of clock.started) ticket.leave(true);
        expect(clock.admission.idle).toBe(true);
      }),
    );
  });
});

import { contentOf, keyOf } from './content.ts';
import type { NextOperation, Operation } from './lanes.ts';
import type { ObjectSet } from './types.ts';

/** Of every twenty turns of a client: 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE (warp's mix), spread out. */
const TURNS = 'GHGPGHDGHGPGHGHGPHGD';

/**
 * The mix over a set: each lane has every n-th object to itself, so that no client deletes what another reads. There are more PUTs than
 * DELETEs; a lane that has run out of objects to delete or read puts one instead.
 */
export function mixedOperations(objects: ObjectSet, lanes: number): NextOperation {
  const states = Array.from({ length: lanes }, (_, lane) => ({
    live: numbersOf(lane, objects.count, lanes),
    turn: lane * 7,
    /** Of the next PUT: beyond the set. */
    fresh: objects.count + lane,
  }));
  return (lane) => {
    const state = states[lane]!;
    const turn = TURNS[state.turn++ % TURNS.length];
    if (turn === 'P' || state.live.length === 0) {
      const number = state.fresh;
      state.fresh += lanes;
      return put(objects, number, state.live);
    }
    const at = (state.turn * 31) % state.live.length;
    if (turn === 'D') return remove(objects, takeAt(state.live, at));
    return read(objects, state.live[at]!, turn === 'H');
  };
}

function numbersOf(lane: number, count: number, lanes: number): number[] {
  return Array.from({ length: Math.max(0, Math.ceil((count - lane) / lanes)) }, (_, at) => lane + at * lanes);
}

function takeAt(numbers: number[], at: number): number {
  const number = numbers[at]!;
  numbers[at] = numbers.at(-1)!;
  numbers.pop();
  return number;
}

/** Joins the live ones once it is acknowledged. */
function put({ prefix, size }: ObjectSet, number: number, live: number[]): Operation {
  return async (client) => {
    await client.put(keyOf(prefix, number), contentOf(number, size));
    live.push(number);
    return { bytes: size };
  };
}

function remove({ prefix }: ObjectSet, number: number): Operation {
  return async (client) => {
    await client.remove(keyOf(prefix, number));
    return {};
  };
}

function read({ prefix, size }: ObjectSet, number: number, head: boolean): Operation {
  return async (client) => {
    const key = keyOf(prefix, number);
    await (head ? client.head(key, size) : client.get(key, size));
    return { bytes: head ? 0 : size };
  };
}

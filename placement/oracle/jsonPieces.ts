/** Levels that are taken apart: a record's verdicts and the tasks of its assignments are pieces of their own. */
const DEPTH = 5;

/** JSON of plain data, such as records of the log: the text of JSON.stringify, piece by piece, none longer than one of its parts. */
export function* jsonPieces(value: unknown, depth = DEPTH): Generator<string, void, undefined> {
  if (depth === 0 || !isTakenApart(value)) {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new TypeError(`${typeof value} has no JSON`);
    yield text;
  } else if (Array.isArray(value)) {
    yield* arrayPieces(value, depth);
  } else {
    yield* objectPieces(value, depth);
  }
}

function* arrayPieces(values: readonly unknown[], depth: number): Generator<string, void, undefined> {
  let before = '[';
  for (const value of values) {
    yield before;
    yield* jsonPieces(isLeftOut(value) ? null : value, depth - 1);
    before = ',';
  }
  yield values.length === 0 ? '[]' : ']';
}

function* objectPieces(object: object, depth: number): Generator<string, void, undefined> {
  let before = '{';
  for (const [key, value] of Object.entries(object)) {
    if (isLeftOut(value)) continue;
    yield `${before}${JSON.stringify(key)}:`;
    yield* jsonPieces(value, depth - 1);
    before = ',';
  }
  yield before === '{' ? '{}' : '}';
}

function isTakenApart(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !('toJSON' in value);
}

function isLeftOut(value: unknown): boolean {
  return value === undefined || typeof value === 'function' || typeof value === 'symbol';
}

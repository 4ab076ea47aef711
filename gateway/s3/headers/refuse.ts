import { S3Error } from '../errors.ts';

/** 400 InvalidArgument as S3 words it: the argument's name and value are elements of the error. */
export function invalidArgument(message: string, name: string, value?: string): S3Error {
  const fields: (readonly [string, string])[] = [['ArgumentName', name]];
  if (value !== undefined) fields.push(['ArgumentValue', value]);
  return new S3Error('InvalidArgument', message, { fields });
}

/** 501 NotImplemented, naming the header or parameter that asks for it. */
export function notImplemented(header: string): S3Error {
  return new S3Error('NotImplemented', undefined, { fields: [['Header', header]] });
}

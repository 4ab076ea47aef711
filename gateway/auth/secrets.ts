/** Making access keys, and refusing secrets that everybody knows. */
import { randomInt } from 'node:crypto';

export interface KeyPair {
  readonly accessKey: string;
  readonly secretKey: string;
}

const ACCESS_KEY_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const SECRET_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** AWS's own lengths: 100 and 238 bits here. */
const ACCESS_KEY_LENGTH = 20;
const SECRET_LENGTH = 40;

/** Random, from the system's generator; letters and digits only, so that no shell, URL or configuration file mangles them. */
export function generateRootCredential(): KeyPair {
  return {
    accessKey: randomText(ACCESS_KEY_ALPHABET, ACCESS_KEY_LENGTH),
    secretKey: randomText(SECRET_ALPHABET, SECRET_LENGTH),
  };
}

function randomText(alphabet: string, length: number): string {
  return Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');
}

export type CredentialErrorKind = 'WeakSecret' | 'InvalidName' | 'RootCredential' | 'UnreadableFile';

/** For operators: wrong configuration or a wrong request to manage keys. Never part of an S3 response, never names a secret. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
  readonly kind: CredentialErrorKind;
  readonly retryable = false;
  constructor(kind: CredentialErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

const ROOT_SECRET_LENGTH_MIN = 8;

/** Defaults of S3 servers, values from published examples, and what people type first. Lower case. */
const KNOWN_SECRETS: ReadonlySet<string> = new Set([
  'minioadmin',
  'minio123',
  'minio-secret-key',
  'rustfsadmin',
  'shardway',
  'shardwayadmin',
  'verysecretkey1',
  'wjalrxutnfemi/k7mdeng/bpxrficyexamplekey',
  'zuf+tfteslswru7bj86wekitnifilbzam1kyy3tg',
  'administrator',
  'changeme',
  'changeit',
  'changeme123',
  'default',
  'example',
  'letmein1',
  'password',
  'password1',
  'password123',
  'p@ssw0rd',
  'passw0rd',
  'qwertyui',
  'qwertyuiop',
  'secretkey',
  'secret_key',
  'secret-key',
  'secretaccesskey',
  'topsecret',
  'testtest',
  'test1234',
  'admin123',
  'adminadmin',
  'rootroot',
  'root1234',
  '12345678',
  '123456789',
  '1234567890',
  '0123456789',
  'abcdefgh',
  'abcd1234',
]);

/**
 * For secrets that people choose.
 * @throws CredentialError 'WeakSecret', with a message that says what to do and does not repeat the secret
 */
export function refuseWeakSecret({ accessKey, secretKey }: KeyPair): void {
  if (accessKey === '') throw weak('the access key is empty');
  if (secretKey === '') throw weak('the secret key is empty');
  if (secretKey.length < ROOT_SECRET_LENGTH_MIN) {
    throw weak(`the secret key is shorter than ${ROOT_SECRET_LENGTH_MIN} characters`);
  }
  if (secretKey.toLowerCase() === accessKey.toLowerCase()) throw weak('the secret key is the access key');
  if (KNOWN_SECRETS.has(secretKey.toLowerCase())) throw weak('the secret key is a publicly known one');
  if (new Set(secretKey).size < 3) throw weak('the secret key repeats one or two characters');
}

function weak(reason: string): CredentialError {
  return new CredentialError(
    'WeakSecret',
    `The root credential is refused: ${reason}. Choose a random secret of 16 characters or more, or configure none and let one be generated.`,
  );
}

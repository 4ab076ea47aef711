/** What a start prints for the operator. */
export interface Summary {
  readonly version: string;
  /** That share the port. */
  readonly processes: number;
  /** URL that clients use. */
  readonly endpoint: string;
  readonly adminUrl: string;
  /** Where providers and HyperNodes register; undefined while that is off. */
  readonly networkUrl: string | undefined;
  readonly region: string;
  readonly data: string;
  readonly profile: string;
  readonly accessKey: string;
  /** Given only on the start that made it: shown once, kept in a file of mode 0600. */
  readonly newSecretKey: string | undefined;
  readonly credentialsFile: string | undefined;
  readonly warnings: readonly string[];
}

/** Endpoint, keys, and snippets to paste. */
export function banner(summary: Summary): string {
  const { endpoint, region, accessKey } = summary;
  const secret = summary.newSecretKey ?? 'YOUR_SECRET_KEY';
  const keys =
    summary.newSecretKey === undefined
      ? `Access key  ${accessKey}${summary.credentialsFile === undefined ? ' (from the environment)' : `\nSecret key  in ${summary.credentialsFile}`}`
      : `Access key  ${accessKey}\nSecret key  ${summary.newSecretKey}\n            shown this once, kept in ${summary.credentialsFile}`;
  return `
Shardway ${summary.version} serves S3 at ${endpoint}${summary.processes === 1 ? '' : ` in ${summary.processes} processes`}
${summary.networkUrl === undefined ? '' : `Network     ${summary.networkUrl} (providers and HyperNodes register here)\n`}Admin       ${summary.adminUrl} (healthz, readyz, metrics)
Data        ${summary.data}, profile ${summary.profile}
${keys}
${summary.warnings.map((warning) => `Warning     ${warning}\n`).join('')}
aws-cli:
  export AWS_ACCESS_KEY_ID=${accessKey} AWS_SECRET_ACCESS_KEY=${secret} AWS_DEFAULT_REGION=${region}
  aws --endpoint-url ${endpoint} s3 mb s3://my-bucket

rclone:
  rclone config create shardway s3 provider=Other endpoint=${endpoint} region=${region} access_key_id=${accessKey} secret_access_key=${secret}
  rclone sync ./folder shardway:my-bucket

AWS SDK for JavaScript:
  import { S3Client } from '@aws-sdk/client-s3';
  const s3 = new S3Client({ endpoint: '${endpoint}', region: '${region}', forcePathStyle: true,
    credentials: { accessKeyId: '${accessKey}', secretAccessKey: '${secret}' } });

`;
}

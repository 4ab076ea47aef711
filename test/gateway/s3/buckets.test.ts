import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteBucketTaggingCommand,
  DeleteObjectCommand,
  GetBucketAclCommand,
  GetBucketCorsCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketLocationCommand,
  GetBucketPolicyCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectAclCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  GetPublicAccessBlockCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutBucketAclCommand,
  PutBucketEncryptionCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { codeOf, startS3Gateway } from './gateway.ts';
import type { S3Gateway } from './gateway.ts';

let gateway: S3Gateway;
let client: S3Client;
let made = 0;
beforeAll(async () => {
  gateway = await startS3Gateway({ domain: 's3.localhost' });
  ({ client } = gateway);
});
afterAll(() => gateway.stop());

async function newBucket(): Promise<string> {
  const Bucket = `bucket-${(made += 1)}`;
  await client.send(new CreateBucketCommand({ Bucket }));
  return Bucket;
}

describe('CreateBucket', () => {
  test('answers its location; again by its owner succeeds and keeps everything', async () => {
    const created = await client.send(new CreateBucketCommand({ Bucket: 'made-twice' }));
    expect(created.Location).toBe('/made-twice');
    await client.send(new PutObjectCommand({ Bucket: 'made-twice', Key: 'kept', Body: 'x' }));
    await client.send(new CreateBucketCommand({ Bucket: 'made-twice' }));
    expect(await codeOf(client.send(new DeleteBucketCommand({ Bucket: 'made-twice' })))).toBe(
      'BucketNotEmpty',
    );
  });

  test.each(['Upper', 'a_b', 'ab', '1.2.3.4', 'xn--a', 'a..b'])('refuses the name %s', async (Bucket) => {
    expect(await codeOf(client.send(new CreateBucketCommand({ Bucket })))).toBe('InvalidBucketName');
  });

  test('takes the region of the endpoint alone', async () => {
    const create = (name: string, LocationConstraint: string) =>
      codeOf(
        client.send(
          new CreateBucketCommand({
            Bucket: name,
            CreateBucketConfiguration: { LocationConstraint: LocationConstraint as 'EU' },
          }),
        ),
      );
    expect(await create('region-same', 'us-east-1')).toBe('none');
    expect(await create('region-other', 'eu-west-1')).toBe('InvalidLocationConstraint');
    expect(await codeOf(client.send(new HeadBucketCommand({ Bucket: 'region-other' })))).toBe('NotFound');
  });

  test('refuses what would not be kept', async () => {
    const create = (rest: object) =>
      codeOf(client.send(new CreateBucketCommand({ Bucket: 'promises', ...rest })));
    expect(await create({ ObjectLockEnabledForBucket: true })).toBe('NotImplemented');
    expect(await create({ ACL: 'public-read' })).toBe('InvalidBucketAclWithObjectOwnership');
    expect(await create({ GrantRead: 'id="x"' })).toBe('InvalidBucketAclWithObjectOwnership');
    expect(await create({ ObjectOwnership: 'ObjectWriter' })).toBe('NotImplemented');
    expect(await create({ CreateBucketConfiguration: { Tags: [{ Key: 'a', Value: 'b' }] } })).toBe(
      'NotImplemented',
    );
    expect(
      await create({
        ACL: 'private',
        ObjectOwnership: 'BucketOwnerEnforced',
        ObjectLockEnabledForBucket: false,
      }),
    ).toBe('none');
  });

  test('in another region a second time is BucketAlreadyOwnedByYou, and the location has a name', async () => {
    const other = await startS3Gateway({ region: 'eu-west-1', client: { region: 'eu-west-1' } });
    const create = new CreateBucketCommand({
      Bucket: 'europe',
      CreateBucketConfiguration: { LocationConstraint: 'EU' },
    });
    await other.client.send(create);
    expect(await codeOf(other.client.send(create))).toBe('BucketAlreadyOwnedByYou');
    const { LocationConstraint } = await other.client.send(
      new GetBucketLocationCommand({ Bucket: 'europe' }),
    );
    expect(LocationConstraint).toBe('eu-west-1');
    await other.stop();
  });
});

test('HeadBucket and GetBucketLocation', async () => {
  const Bucket = await newBucket();
  expect((await client.send(new HeadBucketCommand({ Bucket }))).BucketRegion).toBe('us-east-1');
  expect((await client.send(new GetBucketLocationCommand({ Bucket }))).LocationConstraint).toBeUndefined();
  expect(await codeOf(client.send(new GetBucketLocationCommand({ Bucket: 'nowhere' })))).toBe('NoSuchBucket');
});

test('ListBuckets pages by name and prefix', async () => {
  for (const Bucket of ['page-c', 'page-a', 'page-b']) await client.send(new CreateBucketCommand({ Bucket }));
  const first = await client.send(new ListBucketsCommand({ Prefix: 'page-', MaxBuckets: 2 }));
  expect(first.Buckets?.map(({ Name }) => Name)).toEqual(['page-a', 'page-b']);
  expect(first.Owner?.ID).toBe('owner');
  expect(first.Buckets?.[0]?.CreationDate).toBeInstanceOf(Date);
  const second = await client.send(
    new ListBucketsCommand({ Prefix: 'page-', MaxBuckets: 2, ContinuationToken: first.ContinuationToken }),
  );
  expect(second.Buckets?.map(({ Name }) => Name)).toEqual(['page-c']);
  expect(second.ContinuationToken).toBeUndefined();
  expect((await client.send(new ListBucketsCommand({ BucketRegion: 'eu-west-1' }))).Buckets ?? []).toEqual(
    [],
  );
  expect(await codeOf(client.send(new ListBucketsCommand({ MaxBuckets: 0 })))).toBe('InvalidArgument');
});

test('DeleteBucket takes an empty one', async () => {
  const Bucket = await newBucket();
  await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
  expect(await codeOf(client.send(new DeleteBucketCommand({ Bucket })))).toBe('BucketNotEmpty');
  await client.send(new DeleteObjectCommand({ Bucket, Key: 'a' }));
  await client.send(new DeleteBucketCommand({ Bucket }));
  expect(await codeOf(client.send(new DeleteBucketCommand({ Bucket })))).toBe('NoSuchBucket');
});

test('versioning is off, on, suspended', async () => {
  const Bucket = await newBucket();
  const get = async () => (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status;
  const put = (VersioningConfiguration: object) =>
    codeOf(client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration })));
  expect(await get()).toBeUndefined();
  expect(await put({ Status: 'Enabled' })).toBe('none');
  expect(await get()).toBe('Enabled');
  expect(await put({ Status: 'Suspended' })).toBe('none');
  expect(await get()).toBe('Suspended');
  expect(await put({ Status: 'Sometimes' })).toBe('MalformedXML');
  expect(await put({})).toBe('IllegalVersioningConfigurationException');
  expect(await put({ Status: 'Enabled', MFADelete: 'Enabled' })).toBe('NotImplemented');
});

test('bucket tags', async () => {
  const Bucket = await newBucket();
  const get = async () => (await client.send(new GetBucketTaggingCommand({ Bucket }))).TagSet;
  expect(await codeOf(get())).toBe('NoSuchTagSet');
  const TagSet = [
    { Key: '__proto__', Value: 'ü' },
    { Key: 'b', Value: '' },
  ];
  await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
  expect(await get()).toEqual(TagSet);
  await client.send(new DeleteBucketTaggingCommand({ Bucket }));
  expect(await codeOf(get())).toBe('NoSuchTagSet');
});

test('ACLs: the owner has full control; what says the same is accepted', async () => {
  const Bucket = await newBucket();
  const Key = 'a';
  await client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
  for (const acl of [
    await client.send(new GetBucketAclCommand({ Bucket })),
    await client.send(new GetObjectAclCommand({ Bucket, Key })),
  ]) {
    expect(acl.Owner?.ID).toBe('owner');
    expect(acl.Grants).toMatchObject([
      { Grantee: { ID: 'owner', Type: 'CanonicalUser' }, Permission: 'FULL_CONTROL' },
    ]);
    const AccessControlPolicy = { Owner: acl.Owner, Grants: acl.Grants };
    expect(await codeOf(client.send(new PutObjectAclCommand({ Bucket, Key, AccessControlPolicy })))).toBe(
      'none',
    );
  }
  const put = (rest: object) => codeOf(client.send(new PutBucketAclCommand({ Bucket, ...rest })));
  expect(await put({ ACL: 'private' })).toBe('none');
  expect(await put({ ACL: 'public-read' })).toBe('AccessControlListNotSupported');
  expect(await put({ GrantRead: 'uri="http://acs.amazonaws.com/groups/global/AllUsers"' })).toBe(
    'AccessControlListNotSupported',
  );
  const stranger = {
    Grantee: { ID: 'stranger', Type: 'CanonicalUser' as const },
    Permission: 'READ' as const,
  };
  expect(await put({ AccessControlPolicy: { Owner: { ID: 'owner' }, Grants: [stranger] } })).toBe(
    'AccessControlListNotSupported',
  );
  expect(await codeOf(client.send(new GetObjectAclCommand({ Bucket, Key: 'none' })))).toBe('NoSuchKey');
});

test('encryption in force, and the one setting that says so', async () => {
  const Bucket = await newBucket();
  const { ServerSideEncryptionConfiguration } = await client.send(new GetBucketEncryptionCommand({ Bucket }));
  expect(ServerSideEncryptionConfiguration?.Rules).toMatchObject([
    { ApplyServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } },
  ]);
  const put = (SSEAlgorithm: 'AES256' | 'aws:kms') =>
    codeOf(
      client.send(
        new PutBucketEncryptionCommand({
          Bucket,
          ServerSideEncryptionConfiguration: {
            Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm } }],
          },
        }),
      ),
    );
  expect(await put('AES256')).toBe('none');
  expect(await put('aws:kms')).toBe('NotImplemented');
});

test('probes for what a bucket cannot have are answered as by AWS, after the bucket is known to exist', async () => {
  const Bucket = await newBucket();
  await client.send(new PutObjectCommand({ Bucket, Key: 'a', Body: 'x' }));
  const probes = (name: string) =>
    Promise.all(
      [
        new GetBucketPolicyCommand({ Bucket: name }),
        new GetBucketCorsCommand({ Bucket: name }),
        new GetBucketLifecycleConfigurationCommand({ Bucket: name }),
        new GetObjectLockConfigurationCommand({ Bucket: name }),
        new GetPublicAccessBlockCommand({ Bucket: name }),
        new GetObjectRetentionCommand({ Bucket: name, Key: 'a' }),
        new DeleteBucketPolicyCommand({ Bucket: name }),
      ].map((command) => codeOf(client.send(command as GetBucketPolicyCommand))),
    );
  expect(await probes(Bucket)).toEqual([
    'NoSuchBucketPolicy',
    'NoSuchCORSConfiguration',
    'NoSuchLifecycleConfiguration',
    'ObjectLockConfigurationNotFoundError',
    'NoSuchPublicAccessBlockConfiguration',
    'InvalidRequest',
    'none',
  ]);
  expect(new Set(await probes('nowhere'))).toEqual(new Set(['NoSuchBucket']));
  expect(await codeOf(client.send(new PutBucketPolicyCommand({ Bucket, Policy: '{}' })))).toBe(
    'NotImplemented',
  );
});

test('virtual-host style reaches the same bucket', async () => {
  const Bucket = await newBucket();
  await gateway.client.send(new PutObjectCommand({ Bucket, Key: 'a/b', Body: 'x' }));
  const host = `${Bucket}.s3.localhost:${gateway.port}`;
  expect((await gateway.fetch('HEAD', '/', { host })).headers['x-amz-bucket-region']).toBe('us-east-1');
  expect((await gateway.fetch('GET', '/', { host })).text).toContain('<Key>a/b</Key>');
  expect((await gateway.fetch('GET', '/a/b', { host })).text).toBe('x');
});

test('x-amz-expected-bucket-owner is checked', async () => {
  const Bucket = await newBucket();
  expect(
    await codeOf(client.send(new GetBucketLocationCommand({ Bucket, ExpectedBucketOwner: 'owner' }))),
  ).toBe('none');
  expect(
    await codeOf(client.send(new GetBucketLocationCommand({ Bucket, ExpectedBucketOwner: 'other' }))),
  ).toBe('AccessDenied');
});

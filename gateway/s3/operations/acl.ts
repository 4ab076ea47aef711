import { readOptionalXmlBody } from '../body.ts';
import { S3Error } from '../errors.ts';
import { effectiveHeaders } from '../headers/effective.ts';
import { versionIdOf } from '../headers/parameters.ts';
import { refuseAcl } from '../headers/unsupported.ts';
import { bucketOwner, ownerElement } from '../listing.ts';
import type { Owner } from '../listing.ts';
import { child, childText, children } from '../parseXml.ts';
import type { XmlElement } from '../parseXml.ts';
import type { S3Context, S3Operation, S3Request, S3Response } from '../types.ts';
import { Markup, element, escapeXml, optional, rootElement } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

/*
 * Buckets have BucketOwnerEnforced: the owner has full control and nobody else any. Reads say so; writes that say the same are accepted,
 * because s3cmd, rclone and others send them on every copy; all others are refused.
 */

export const getBucketAcl: S3Operation = {
  name: 'GetBucketAcl',
  permission: 's3:GetBucketAcl',
  method: 'GET',
  target: 'bucket',
  query: ['acl'],
  async handle(request, context) {
    return aclResponse(await bucketOwner(request, context));
  },
};

export const putBucketAcl: S3Operation = {
  name: 'PutBucketAcl',
  permission: 's3:PutBucketAcl',
  method: 'PUT',
  target: 'bucket',
  query: ['acl'],
  async handle(request, context) {
    return acceptAcl(request, await bucketOwner(request, context));
  },
};

export const getObjectAcl: S3Operation = {
  name: 'GetObjectAcl',
  permission: 's3:GetObjectAcl',
  method: 'GET',
  target: 'object',
  query: ['acl'],
  async handle(request, context) {
    await requireObject(request, context);
    return aclResponse(await bucketOwner(request, context));
  },
};

export const putObjectAcl: S3Operation = {
  name: 'PutObjectAcl',
  permission: 's3:PutObjectAcl',
  method: 'PUT',
  target: 'object',
  query: ['acl'],
  async handle(request, context) {
    await requireObject(request, context);
    return acceptAcl(request, await bucketOwner(request, context));
  },
};

async function requireObject(
  { bucket = '', key = '', query }: S3Request,
  { store }: S3Context,
): Promise<void> {
  const versionId = versionIdOf(query);
  await store.stat({ bucket, key, ...(versionId !== undefined && { versionId }) });
}

function aclResponse(owner: Owner): S3Response {
  const grantee = new Markup(
    '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">' +
      `<ID>${escapeXml(owner.id)}</ID>${optional('DisplayName', owner.displayName)?.source ?? ''}</Grantee>`,
  );
  const grant = element('Grant', grantee, element('Permission', 'FULL_CONTROL'));
  return xmlResponse(
    rootElement('AccessControlPolicy', ownerElement(owner), element('AccessControlList', grant)),
  );
}

async function acceptAcl(request: S3Request, owner: Owner): Promise<S3Response> {
  const headers = effectiveHeaders(request);
  refuseAcl(headers);
  const policy = await readOptionalXmlBody(request, 'AccessControlPolicy');
  if (policy !== undefined) checkPolicy(policy, owner);
  else if ((headers.get('x-amz-acl') ?? '') === '') {
    throw new S3Error('MissingSecurityHeader', undefined, { fields: [['MissingHeaderName', 'x-amz-acl']] });
  }
  return { status: 200 };
}

function checkPolicy(policy: XmlElement, owner: Owner): void {
  const list = child(policy, 'AccessControlList');
  if (list === undefined) throw new S3Error('MalformedACLError');
  for (const grant of children(list, 'Grant')) {
    const grantee = child(grant, 'Grantee');
    const id = grantee === undefined ? undefined : childText(grantee, 'ID')?.trim();
    if (id !== owner.id || childText(grant, 'Permission')?.trim() !== 'FULL_CONTROL') {
      throw new S3Error('AccessControlListNotSupported');
    }
  }
}

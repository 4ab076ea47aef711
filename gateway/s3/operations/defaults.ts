import type { S3Operation } from '../types.ts';
import { element, rootElement } from '../xml.ts';
import type { Markup } from '../xml.ts';
import { xmlResponse } from './xmlResponse.ts';

/*
 * Bucket settings that cannot be changed: what is in force, as AWS answers it for a bucket that never had another; and removals of
 * what cannot have been set, which succeed on AWS too.
 */

function answer(name: string, permission: string, subResource: string, root: Markup): S3Operation {
  return {
    name,
    permission,
    method: 'GET',
    target: 'bucket',
    query: [subResource],
    async handle(request, { store }) {
      await store.bucket(request.bucket ?? '');
      return xmlResponse(root);
    },
  };
}

function nothingToDelete(name: string, permission: string, subResource: string): S3Operation {
  return {
    name,
    permission,
    method: 'DELETE',
    target: 'bucket',
    query: [subResource],
    async handle(request, { store }) {
      await store.bucket(request.bucket ?? '');
      return { status: 204 };
    },
  };
}

const NOT_TRUNCATED = element('IsTruncated', false);

export const DEFAULTS = {
  GetBucketAccelerateConfiguration: answer(
    'GetBucketAccelerateConfiguration',
    's3:GetAccelerateConfiguration',
    'accelerate',
    rootElement('AccelerateConfiguration'),
  ),
  GetBucketEncryption: answer(
    'GetBucketEncryption',
    's3:GetEncryptionConfiguration',
    'encryption',
    rootElement(
      'ServerSideEncryptionConfiguration',
      element(
        'Rule',
        element('ApplyServerSideEncryptionByDefault', element('SSEAlgorithm', 'AES256')),
        element('BucketKeyEnabled', false),
      ),
    ),
  ),
  GetBucketLogging: answer(
    'GetBucketLogging',
    's3:GetBucketLogging',
    'logging',
    rootElement('BucketLoggingStatus'),
  ),
  GetBucketNotificationConfiguration: answer(
    'GetBucketNotificationConfiguration',
    's3:GetBucketNotification',
    'notification',
    rootElement('NotificationConfiguration'),
  ),
  GetBucketRequestPayment: answer(
    'GetBucketRequestPayment',
    's3:GetBucketRequestPayment',
    'requestPayment',
    rootElement('RequestPaymentConfiguration', element('Payer', 'BucketOwner')),
  ),
  ListBucketAnalyticsConfigurations: answer(
    'ListBucketAnalyticsConfigurations',
    's3:GetAnalyticsConfiguration',
    'analytics',
    rootElement('ListBucketAnalyticsConfigurationResult', NOT_TRUNCATED),
  ),
  ListBucketIntelligentTieringConfigurations: answer(
    'ListBucketIntelligentTieringConfigurations',
    's3:GetIntelligentTieringConfiguration',
    'intelligent-tiering',
    rootElement('ListBucketIntelligentTieringConfigurationsOutput', NOT_TRUNCATED),
  ),
  ListBucketInventoryConfigurations: answer(
    'ListBucketInventoryConfigurations',
    's3:GetInventoryConfiguration',
    'inventory',
    rootElement('ListInventoryConfigurationsResult', NOT_TRUNCATED),
  ),
  ListBucketMetricsConfigurations: answer(
    'ListBucketMetricsConfigurations',
    's3:GetMetricsConfiguration',
    'metrics',
    rootElement('ListMetricsConfigurationsResult', NOT_TRUNCATED),
  ),
  DeleteBucketCors: nothingToDelete('DeleteBucketCors', 's3:PutBucketCORS', 'cors'),
  DeleteBucketEncryption: nothingToDelete(
    'DeleteBucketEncryption',
    's3:PutEncryptionConfiguration',
    'encryption',
  ),
  DeleteBucketLifecycle: nothingToDelete(
    'DeleteBucketLifecycle',
    's3:PutLifecycleConfiguration',
    'lifecycle',
  ),
  DeleteBucketOwnershipControls: nothingToDelete(
    'DeleteBucketOwnershipControls',
    's3:PutBucketOwnershipControls',
    'ownershipControls',
  ),
  DeleteBucketPolicy: nothingToDelete('DeleteBucketPolicy', 's3:DeleteBucketPolicy', 'policy'),
  DeleteBucketReplication: nothingToDelete(
    'DeleteBucketReplication',
    's3:PutReplicationConfiguration',
    'replication',
  ),
  DeleteBucketWebsite: nothingToDelete('DeleteBucketWebsite', 's3:DeleteBucketWebsite', 'website'),
  DeletePublicAccessBlock: nothingToDelete(
    'DeletePublicAccessBlock',
    's3:PutBucketPublicAccessBlock',
    'publicAccessBlock',
  ),
} as const satisfies Record<string, S3Operation>;

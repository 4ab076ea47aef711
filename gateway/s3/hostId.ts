/** x-amz-id-2 and HostId: opaque to clients, a function of the request id, so that both may be written from anywhere. */
export function hostIdOf(requestId: string): string {
  return Buffer.from(`shardway/${requestId}`, 'latin1').toString('base64');
}

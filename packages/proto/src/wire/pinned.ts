/**
 * TLS to control for grpc-js: the one certificate that holds the pin is the only root of the channel, and the pin is compared
 * again on each connection that the channel makes.
 */
import { X509Certificate } from 'node:crypto';
import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import { PinMismatchError } from './errors.ts';
import { fetchPinnedCertificate, holdsPin } from './pin.ts';

/**
 * Channel credentials for the control at HOST:PORT that holds the pinned key. Throws ControlUnreachableError or
 * PinMismatchError, or the signal's reason. Control may renew its certificate under the same key, so ask again for each
 * new channel.
 */
export async function pinnedCredentials(
  address: string,
  pin: Uint8Array,
  signal?: AbortSignal,
): Promise<ChannelCredentials> {
  const certificate = await fetchPinnedCertificate(address, pin, signal);
  return credentials.createSsl(Buffer.from(certificate.toString()), null, null, {
    checkServerIdentity: (_host, shown) =>
      holdsPin(new X509Certificate(shown.raw), pin) ? undefined : new PinMismatchError(address),
  });
}

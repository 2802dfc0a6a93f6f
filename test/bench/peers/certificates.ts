/** A certificate authority and a certificate for each end, by openssl. */
import { join } from 'node:path';
import type { Stage } from '../stage.ts';

export interface Certificates {
  readonly authority: string;
  readonly client: Pair;
  readonly server: Pair;
}

export interface Pair {
  readonly certificate: string;
  readonly key: string;
  /** Both in one file. */
  readonly joined: string;
}

const SCRIPT = `
set -e; umask 077; mkdir -p "$0"; cd "$0"; [ ! -e done ] || exit 0
curve='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30'
openssl req -x509 $curve -subj /CN=bench -keyout ca.key -out ca.pem
for end in client server; do
  openssl req $curve -subj /CN=$end -keyout $end.key -out $end.csr
  openssl x509 -req -in $end.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out $end.pem
  cat $end.pem $end.key > $end.both
done
touch done
`;

/** Both ends read them in one folder, as both ends are one user's. */
export async function makeCertificates(stage: Stage): Promise<Certificates> {
  const folder = join(stage.server.dir, 'certificates');
  await stage.server.check(['sh', '-c', SCRIPT, folder]);
  const pair = (end: string): Pair => ({
    certificate: join(folder, `${end}.pem`),
    key: join(folder, `${end}.key`),
    joined: join(folder, `${end}.both`),
  });
  return { authority: join(folder, 'ca.pem'), client: pair('client'), server: pair('server') };
}

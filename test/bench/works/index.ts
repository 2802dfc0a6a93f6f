import type { Work } from '../types.ts';
import { amqpWork } from './amqp.ts';
import { connectWork } from './connect.ts';
import { dnsWork } from './dns.ts';
import { gatewayWork } from './gateway.ts';
import { datagramWork, iperfWorks } from './iperf.ts';
import { pacedWorks } from './paced.ts';
import { pgbenchWorks } from './pgbench.ts';
import { pingWorks } from './ping.ts';
import { redisWorks } from './redis.ts';

export const allWorks: readonly Work[] = [
  ...iperfWorks,
  ...redisWorks,
  ...pacedWorks,
  connectWork,
  ...pingWorks,
  gatewayWork,
  ...pgbenchWorks,
  amqpWork,
  datagramWork,
  dnsWork,
];

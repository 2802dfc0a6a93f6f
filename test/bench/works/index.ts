import type { Work } from '../types.ts';
import { connectWork } from './connect.ts';
import { dnsWork } from './dns.ts';
import { datagramWork, iperfWorks } from './iperf.ts';
import { pingWork } from './ping.ts';
import { redisWorks } from './redis.ts';

export const allWorks: readonly Work[] = [...iperfWorks, ...redisWorks, connectWork, pingWork, datagramWork, dnsWork];

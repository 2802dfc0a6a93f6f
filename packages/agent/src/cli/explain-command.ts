/** weft explain: the verdict on one flow, and where it would break. */
import { formatPortRange, hostNameProblem, isServiceName, parseDestination } from '@weft/proto';
import {
  actionCodec,
  adminService,
  breakPointCodec,
  callerToWire,
  protocolCodec,
  toldFromWire,
} from '@weft/proto/wire';
import { orSentence } from '../config/schema.ts';
import { type NetworkOptions, withAdmin } from './admin.ts';
import { UsageError } from './errors.ts';
import { writeJson } from './json.ts';
import { paint, printable, type Terminal } from './terminal.ts';

/** Answers with the exit code: 0 for allow, 3 for deny. */
export async function explain(
  from: string,
  to: string,
  options: NetworkOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<0 | 3> {
  const host = from.startsWith('host:') ? from.slice('host:'.length) : undefined;
  if (host === undefined ? from !== 'internet' && !isServiceName(from) : hostNameProblem(host) !== undefined) {
    throw new UsageError(`FROM is a service, host:NAME or internet; found ${JSON.stringify(from)}`);
  }
  // People paste what their programs are given.
  const destination = orSentence(() => parseDestination(to.replace(/\.internal\.?(?=:)/, '')));
  if (typeof destination === 'string') throw new UsageError(`TO: ${destination}`);
  const { service, port, protocol } = destination;
  const answer = await withAdmin(options, terminal, signal, (admin) =>
    admin.call(adminService.explain, {
      network: options.network ?? '',
      from: callerToWire(from),
      service,
      port,
      protocol: protocolCodec.toWire(protocol),
    }),
  );
  const verdict = actionCodec.fromWire(answer.verdict, 'verdict');
  const breakPoint = toldFromWire(breakPointCodec, answer.breakPoint, 'break_point');
  const { rule, revision, reason, steps, refusedHosts } = answer;
  if (options.json !== undefined) {
    writeJson(terminal, 'explain', {
      from,
      to: destination,
      verdict,
      rule,
      revision,
      reason,
      breakPoint,
      steps,
      refusedHosts,
    });
  } else {
    const flow = `${from} -> ${service}:${formatPortRange({ protocol, first: port, last: port })}`;
    const word = verdict === 'allow' ? paint(terminal, 'green', 'allow') : paint(terminal, 'red', 'deny');
    terminal.out(`${word}  ${flow}\n`);
    terminal.out(`rule: ${printable(rule)}\nrevision: ${revision}\nreason: ${printable(reason)}\n`);
    for (const step of steps) terminal.out(`- ${printable(step)}\n`);
    terminal.out(
      breakPoint === 'none'
        ? `it would work${exceptFrom(refusedHosts)}\n`
        : `${paint(terminal, 'yellow', `breaks at: ${breakPoint}`)}\n`,
    );
  }
  return verdict === 'allow' ? 0 : 3;
}

function exceptFrom(hosts: readonly string[]): string {
  return hosts.length === 0 ? '' : `, but not from ${hosts.map(printable).join(', ')}: see above`;
}

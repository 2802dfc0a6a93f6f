/** weft explain: the verdict on one flow, and where it would break. */
import {
  type BreakPoint,
  formatPortRange,
  formatRulePorts,
  hostNameProblem,
  isServiceName,
  parseDestination,
  type Rule,
  userNameProblem,
} from '@weft/proto';
import {
  actionCodec,
  adminService,
  breakPointCodec,
  callerToWire,
  type pb,
  protocolCodec,
  ruleFromWire,
  toldFromWire,
} from '@weft/proto/wire';
import { ruleToYaml } from '@weft/proto/yaml';
import { orSentence } from '../config/schema.ts';
import { type NetworkOptions, withAdmin } from './admin.ts';
import { agentInstead } from './agent-instead.ts';
import { UsageError, wrongValue } from './errors.ts';
import { writeJson } from './json.ts';
import { type Explained, explainedHere, OWN_VIEW } from './local-explain.ts';
import type { LocalOptions } from './local-services.ts';
import { defaultDirectory } from './paths.ts';
import { originFromWire, originWords, type RuleOrigin } from './rule-origin.ts';
import { paint, printable, type Terminal } from './terminal.ts';

export type ExplainOptions = NetworkOptions & LocalOptions & { readonly pid?: string };

/** Answers with the exit code: 3 for deny, 4 where it would break, from any of the caller's hosts, or was not tried, 0 where it works. */
export async function explain(
  ends: readonly (string | undefined)[],
  options: ExplainOptions,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<0 | 3 | 4> {
  const [from, to] = readEnds(ends, options.pid);
  // People paste what their programs are given.
  const destination = orSentence(() => parseDestination(to.replace(/\.internal\.?(?=:)/, '')));
  if (typeof destination === 'string') throw new UsageError(`TO: ${destination}`);
  const { service, port, protocol } = destination;
  const here = await agentInstead(localOnly(from, options, terminal), terminal, OWN_VIEW);
  const answer: Explained =
    here !== undefined
      ? await explainedHere(here, { from, ...destination })
      : await withAdmin(options, terminal, signal, (admin) =>
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
  const { rule, revision, reason, steps, refusedHosts, untriedHosts } = answer;
  const decidingRule = answer.decidingRule ? ruleFromWire(answer.decidingRule, 'deciding_rule') : null;
  const origin = answer.decidingRuleOrigin ? originFromWire(answer.decidingRuleOrigin) : null;
  const remedy = answer.remedy ? remedyFromWire(answer.remedy) : null;
  if (options.json !== undefined) {
    writeJson(terminal, 'explain', {
      from,
      process: answer.process ?? null,
      to: destination,
      verdict,
      rule,
      revision,
      reason,
      breakPoint,
      steps,
      refusedHosts,
      untriedHosts,
      decidingRule: decidingRule && ruleText(decidingRule),
      decidingRuleOrigin: origin,
      remedy: remedy && { ...remedy, rule: remedy.rule && ruleText(remedy.rule) },
    });
  } else {
    const flow = `${from} -> ${service}:${formatPortRange({ protocol, first: port, last: port })}`;
    const word = verdict === 'allow' ? paint(terminal, 'green', 'allow') : paint(terminal, 'red', 'deny');
    terminal.out(`${word}  ${flow}\n`);
    terminal.out(`rule: ${printable(decidingRule === null ? rule : ruleToYaml(decidingRule))}\n`);
    if (origin !== null) terminal.out(`written: ${originWords(origin)}\n`);
    terminal.out(`revision: ${revision}\nreason: ${printable(reason)}\n`);
    for (const step of steps) terminal.out(`- ${printable(step)}\n`);
    terminal.out(`${outcome(breakPoint, answer, terminal)}\n`);
    if (remedy !== null) writeRemedy(remedy, origin, terminal);
  }
  if (verdict !== 'allow') return 3;
  return breakPoint === 'none' && refusedHosts.length === 0 ? 0 : 4;
}

/** Throws UsageError. */
function readEnds(ends: readonly (string | undefined)[], pid: string | undefined): readonly [from: string, to: string] {
  const given = ends.filter((end) => end !== undefined);
  if (pid !== undefined) {
    if (!/^[1-9]\d{0,9}$/.test(pid)) wrongValue('--pid', 'the number of a process', pid);
    const [to, another] = given;
    if (to === undefined || another !== undefined)
      throw new UsageError('with --pid, what is called is named alone: weft explain --pid PID SERVICE:PORT');
    return [`pid:${pid}`, to];
  }
  const [from, to] = given;
  if (from === undefined || to === undefined)
    throw new UsageError(`who calls what is to be named: weft explain FROM TO, or weft explain --pid PID TO`);
  const problemOf = (prefix: string, problem: (name: string) => string | undefined) =>
    from.startsWith(prefix) ? problem(from.slice(prefix.length)) === undefined : undefined;
  const fine = problemOf('host:', hostNameProblem) ?? problemOf('user:', userNameProblem);
  if (!(fine ?? (from === 'internet' || isServiceName(from))))
    throw new UsageError(`FROM is a service, host:NAME, user:NAME or internet; found ${JSON.stringify(from)}`);
  return [from, to];
}

/** Users and processes are a host's own: its agent is asked, whatever leads to control. Throws UsageError. */
function localOnly(from: string, options: ExplainOptions, { env }: Terminal): ExplainOptions {
  if (!/^(user|pid):/.test(from) || options.data !== undefined) return options;
  if (options.control !== undefined)
    throw new UsageError(
      `${from.startsWith('pid:') ? '--pid is' : 'user:NAME is'} for the agent of the host, which alone knows its users and processes: leave --control away and run this there`,
    );
  return { ...options, data: defaultDirectory('weft', env) };
}

interface ToldRemedy {
  readonly denies: readonly string[];
  readonly deniesCount: number;
  /** Of those in `denies`; a control of an older version tells none. */
  readonly deniesOrigins: readonly RuleOrigin[];
  readonly rule: Rule | null;
}

function remedyFromWire({ denies, deniesCount, deniesOrigins, rule }: pb.Message<'Remedy'>): ToldRemedy {
  return {
    denies,
    deniesCount,
    deniesOrigins: deniesOrigins.map(originFromWire),
    rule: rule ? ruleFromWire(rule, 'remedy.rule') : null,
  };
}

/** Its ports as the mesh file has them. */
function ruleText(rule: Rule) {
  return { ...rule, ports: rule.ports.map(formatRulePorts) };
}

/** `told`: where the rule that decided comes from, which stands there already. */
function writeRemedy(
  { denies, deniesCount, deniesOrigins, rule }: ToldRemedy,
  told: RuleOrigin | null,
  terminal: Terminal,
): void {
  if (deniesCount > 0) {
    const more = deniesCount > denies.length ? ` and ${deniesCount - denies.length} more` : '';
    const them = deniesCount === 1 ? 'it is' : 'they are';
    const names = `${denies.map(printable).join(', ')}${more}`;
    terminal.out(`what denies it: ${names}; no allow beats a deny, so ${them} to be taken away, or to speak of less\n`);
    for (const origin of deniesOrigins)
      if (origin.rule !== told?.rule) terminal.out(`  - ${printable(origin.rule)}: ${originWords(origin)}\n`);
  }
  if (rule === null) return;
  const also = deniesCount > 0 ? 'and then ' : '';
  terminal.out(`${also}this rule permits it, and nothing else:\n  - ${printable(ruleToYaml(rule))}\n`);
}

function outcome(
  breakPoint: BreakPoint,
  { refusedHosts, untriedHosts }: Pick<Explained, 'refusedHosts' | 'untriedHosts'>,
  terminal: Terminal,
): string {
  if (breakPoint === 'none') return `it would work${exceptFrom(refusedHosts, untriedHosts)}`;
  const words =
    breakPoint === 'not-tried'
      ? 'permitted, but whether it works was not tried: see above'
      : `breaks at: ${breakPoint}`;
  return paint(terminal, 'yellow', words);
}

function exceptFrom(refused: readonly string[], untried: readonly string[]): string {
  const from = (what: string, hosts: readonly string[]) =>
    hosts.length === 0 ? '' : `, ${what} from ${hosts.map(printable).join(', ')}`;
  const words = from('but not', refused) + from(`${refused.length > 0 ? 'and' : 'but'} was not tried`, untried);
  return words && `${words}: see above`;
}

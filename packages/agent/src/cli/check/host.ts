/** What the agent wants of the host itself: ports below 1024, files, its directory. */
import { accessSync, constants, statfsSync, statSync } from 'node:fs';
import {
  filesFor,
  formatPortRange,
  isSystemError,
  messageOf,
  parseHostPort,
  parsePort,
  systemErrorWords,
} from '@weft/proto';
import { exposedSecrets, replaceableAbove } from '@weft/proto/files';
import { isSecret } from '../../member/lock.ts';
import { processFacts } from '../../observe/process-facts.ts';
import { listenerSpecs } from '../../outbound/listener-spec.ts';
import { formatBytes } from '../format.ts';
import { type Finding, findingsOf } from './finding.ts';
import { type Known, whySilent } from './known.ts';

const ports = findingsOf('ports');
const files = findingsOf('files');
const kept = findingsOf('directory');

/** Nothing where no port is so low. */
export function lookAtPorts(known: Known): readonly Finding[] {
  const {
    agent,
    facts,
    unasked,
    kept: { current },
  } = known;
  const services = agent
    ? agent.names.map(({ name, ports: declared }) => ({
        name: name.replace(/\.internal$/, ''),
        ports: declared.map(parsePort),
      }))
    : [...current.services.values()].map(({ service }) => service);
  const own = { 'the --dns of the agent': agent?.dns, 'its gateway': agent?.gateway };
  const wanted = [
    ...services.flatMap(({ name, ports: declared }) =>
      declared.map((range) => ({ port: range.first, what: `${name} ${formatPortRange(range)}` })),
    ),
    ...Object.entries(own).flatMap(([what, at]) => ({ port: parseHostPort(at ?? '')?.port ?? 0, what })),
  ].filter(({ port }) => port > 0 && port < LOW);
  const lowest = wanted.toSorted((one, other) => one.port - other.port)[0];
  if (lowest === undefined) return [];
  const what = [...new Set(wanted.map((each) => each.what))].join(', ');
  // What this process may says nothing of an agent that runs.
  if (facts === undefined && unasked !== '')
    return [
      ports.unknown(
        '',
        `not looked at: the agent tells whether it may listen as ${what} wants, and ${whySilent(known)}`,
      ),
    ];
  const { lowestPort } = facts?.process ?? processFacts();
  const who = facts === undefined ? 'an agent of this user' : 'the agent';
  if (lowestPort === null)
    return [ports.unknown('', `this system does not tell who may listen below 1024, as ${what} wants`)];
  if (lowestPort <= lowest.port) return [ports.ok('', `${who} may listen from ${lowestPort} on, as ${what} wants`)];
  return [
    ports.broken(
      '',
      `${who} may listen from ${lowestPort} on, and these want lower ones: ${what}`,
      `as root, once: sysctl -w net.ipv4.ip_unprivileged_port_start=${lowest.port}; or AmbientCapabilities=CAP_NET_BIND_SERVICE in its unit`,
    ),
  ];
}

const LOW = 1_024;

export function lookAtFiles(known: Known): Finding {
  const {
    facts,
    unasked,
    kept: { current },
  } = known;
  if (facts === undefined && unasked !== '')
    return files.unknown('', `not looked at: the agent tells how many it may have open, and ${whySilent(known)}`);
  const { filesLimit, filesOpen } = facts?.process ?? processFacts();
  const needed = facts?.filesNeeded ?? filesFor(listenerSpecs(current).size);
  if (filesLimit === null) return files.unknown('', 'this system does not tell how many files a process may have open');
  const whose = facts === undefined ? ' to an agent of this user' : '';
  if (filesLimit < needed)
    return files.broken(
      '',
      `${filesLimit} may be open${whose}, and the network's ports and their flows want ${needed}`,
      `raise the hard limit and start the agent again: LimitNOFILE= in its unit, or ulimit -Hn ${needed}`,
    );
  const open = facts === undefined ? '' : `${filesOpen} are, and `;
  return files.ok('', `${filesLimit} may be open${whose}; ${open}the network's ports and their flows want ${needed}`);
}

/** Room for the netmap and its next copy. */
const LEAST_ROOM = 8 << 20;

export function lookAtDirectory({ directory, agent, facts }: Known): readonly Finding[] {
  const asker = process.getuid?.();
  try {
    const found = statSync(directory, { throwIfNoEntry: false });
    if (found === undefined)
      return agent === undefined ? [] : [kept.broken(directory, 'is not there', 'start the agent again')];
    const { uid, mode } = found;
    // By what the agent says alone: whoever asks may be another user, root too where a unit gives the agent one of its own.
    const owner = facts?.process.uid ?? undefined;
    if (owner !== undefined && uid !== owner)
      return [
        kept.broken(
          directory,
          `belongs to user ${uid}, and the agent is ${owner}'s`,
          `chown -R ${owner} ${directory}, or start it as user ${uid}`,
        ),
      ];
    if ((mode & 0o022) !== 0) return [kept.broken(directory, 'others may write to it', `chmod go-w ${directory}`)];
    if (asker !== undefined && asker !== 0 && asker !== uid)
      return [kept.unknown(directory, `not looked into: it is user ${uid}'s; ask as that user, or as root`)];
    const [keys] = exposedSecrets({ directory, isSecret });
    if (keys !== undefined)
      return [
        kept.broken(
          directory,
          `others may read the keys in ${keys}`,
          `chmod 600 ${keys}; whoever read them is this host to others: weft revoke it and join again`,
        ),
      ];
    accessSync(directory, constants.W_OK | constants.X_OK);
    const { bavail, bsize, files: inodes, ffree } = statfsSync(directory);
    const room = bavail * bsize;
    if (room < LEAST_ROOM || (inodes > 0 && ffree === 0))
      return [
        kept.broken(
          directory,
          `its disk has room for ${formatBytes(room)} and ${ffree} files`,
          'make room: what is enforced must be kept',
        ),
      ];
    const [above] = replaceableAbove(directory, uid);
    if (above !== undefined)
      return [
        kept.hint(
          directory,
          `others may write to ${above}, and so put another directory in its place`,
          `chmod go-w ${above}, or keep it elsewhere with --data`,
        ),
      ];
    const who =
      (mode & 0o077) === 0 ? "is its owner's alone" : 'is written by its owner alone, and others may look into it';
    return [kept.ok(directory, `${who}, and its disk has room for ${formatBytes(room)}`)];
  } catch (error) {
    // Somewhere above it: nothing of the directory itself is known then.
    if (isSystemError(error) && error.code === 'EACCES' && error.syscall === 'stat' && error.path === directory)
      return [kept.unknown(directory, `not looked at: ${systemErrorWords(error)}; ask as the user who runs the agent`)];
    return [kept.broken(directory, messageOf(error), 'see to who owns it, and that its disk takes writes')];
  }
}

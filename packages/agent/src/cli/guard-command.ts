/** weft guard: closes what others reach of this host past Weft, by an nftables table of its own. */
import { formatHostPort, formatRange } from '@weft/proto';
import { GuardError } from '../guard/errors.ts';
import { writeGuardFile } from '../guard/guard-file.ts';
import { findNft } from '../guard/nft.ts';
import { type GuardState, isOfAnother, loadOf, REMOVAL, stateOf } from '../guard/ruleset.ts';
import type { ServicePlace } from '../inbound/exposure.ts';
import { CommandError } from './errors.ts';
import { refuseOwnWay } from './guard/own-way.ts';
import { askAgent, realPathOf, type Wish, wishNow } from './guard/wish.ts';
import { writeJson } from './json.ts';
import { defaultDirectory } from './paths.ts';
import { paint, printable, type Terminal } from './terminal.ts';

export { keepGuard } from './guard/keep.ts';

export interface GuardOptions {
  readonly data?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

export async function guardOn(options: GuardOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  const now = await askAgent(directory, {}, signal);
  if (options.dryRun === true) {
    terminal.out(loadOf(now));
    return;
  }
  const nft = findNft();
  refuseOther(stateOf(now, await nft.table()));
  refuseOwnWay(now.places);
  // Kept before it is closed, so that what sees to it closes and does not open.
  const wish = await askAgent(directory, { want: true }, signal);
  await nft.load(loadOf(wish));
  const { kept } = await askAgent(directory, { closed: wish.number }, signal);
  for (const place of wish.places) terminal.out(`closed     ${lineOf(place)}\n`);
  const later = kept ? '; what comes is closed' : '';
  if (wish.places.length === 0) terminal.out(`nothing listens where others reach it past Weft${later}\n`);
  terminal.out(`${rangeLine(wish, 'closed')}\n`);
  if (!kept)
    terminal.err(
      `${paint(terminal, 'yellow', 'hint')}: nothing keeps it: what comes later is open, and a reload of the firewall takes it away; ` +
        'as root: systemctl enable --now weft-guard, or weft guard keep\n',
    );
}

export async function guardOff(options: GuardOptions, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  if (options.dryRun === true) {
    terminal.out(REMOVAL);
    return;
  }
  const nft = findNft();
  const table = await nft.table();
  // Also where nobody wishes for one here: a directory that is misspelt is not to open what another agent's guard closes.
  if (table !== undefined && isOfAnother(realPathOf(directory), table)) refuseOther('other');
  // First, so that nothing puts it back.
  try {
    await askAgent(directory, { want: false }, signal);
  } catch (error) {
    // An agent that is not what it should be does not hold up its going.
    if (!isUnasked(error) && !(error instanceof GuardError && error.code === 'guard-odd-wish')) throw error;
    await writeGuardFile(directory, undefined);
  }
  if (table !== undefined) await nft.load(REMOVAL);
  terminal.out('the guard is off\n');
}

/** `stale`: it stands, and not all of what is to be closed is. `left-over`: it stands, and nobody wishes for it. */
type Told = 'on' | 'off' | 'missing' | 'stale' | 'left-over' | 'of-another';

/** Answers with the exit code: 3 where it is off, 4 where wish and table are not the same. */
export async function guardStatus(options: GuardOptions, terminal: Terminal, signal: AbortSignal): Promise<0 | 3 | 4> {
  const directory = options.data ?? defaultDirectory('weft', terminal.env);
  const nft = findNft();
  const wish = await wishNow(directory, {}, signal).catch(async (error: unknown) => {
    if (isUnasked(error)) return undefined;
    throw error;
  });
  const table = await nft.table();
  const isOthers = table !== undefined && isOfAnother(realPathOf(directory), table);
  const state = wish !== undefined ? stateOf(wish, table) : isOthers ? 'other' : undefined;
  const told = toldOf(wish?.wanted === true, state, table !== undefined);
  const code = told === 'on' ? 0 : told === 'off' ? 3 : 4;
  const places = wish?.wanted === true ? wish.places : [];
  if (options.json !== undefined) {
    const range = wish === undefined ? '' : formatRange(wish.range);
    writeJson(terminal, 'guard status', {
      state: told,
      kept: wish?.kept === true,
      dropped: table?.dropped ?? 0,
      range,
      places: places.map(({ service, protocol, address, port }) => ({ service, protocol, address, port })),
    });
    return code;
  }
  const color = code === 0 ? 'green' : code === 3 ? 'yellow' : 'red';
  terminal.out(`guard      ${paint(terminal, color, WORDS[told])}\n`);
  if (told === 'on' || told === 'stale') {
    const kept = wish?.kept === true ? 'yes' : 'no: systemctl enable --now weft-guard, or weft guard keep, as root';
    terminal.out(`kept       ${kept}\ndropped    ${table?.dropped ?? 0} packets\n`);
  }
  if (wish?.wanted === true) {
    const word = told === 'on' ? 'closed' : 'to close';
    for (const place of places) terminal.out(`${word.padEnd(11)}${lineOf(place)}\n`);
    terminal.out(`${rangeLine(wish, word)}\n`);
  }
  return code;
}

const WORDS: Readonly<Record<Told, string>> = {
  on: 'on',
  off: 'off; weft guard on closes what is exposed',
  missing: 'on, and its table is not there: weft guard on puts it back',
  stale: 'on, and its table is not as it should be: weft guard on puts it right',
  'left-over': 'off, and its table still stands: weft guard off takes it away',
  'of-another': 'the table is of another agent of this host',
};

function toldOf(wanted: boolean, state: GuardState | undefined, there: boolean): Told {
  if (state === 'other') return 'of-another';
  if (!wanted) return there ? 'left-over' : 'off';
  return state === 'whole' ? 'on' : state === 'absent' ? 'missing' : 'stale';
}

function refuseOther(state: GuardState): void {
  if (state === 'other')
    throw new GuardError(
      'guard-of-another',
      'another agent of this host has its guard on, and a host has one; take that one away first: weft guard off --data ITS-DIRECTORY',
    );
}

function isUnasked(error: unknown): boolean {
  return error instanceof CommandError && error.code === 'nothing-to-ask';
}

function lineOf({ service, protocol, address, port }: ServicePlace): string {
  return printable(`${service.padEnd(12)} ${formatHostPort(address, port)}/${protocol}`);
}

function rangeLine({ range, users }: Wish, word: string): string {
  const inside = users.length === 0 ? '' : ', and as a source to other users of this host';
  return `${word.padEnd(11)}${formatRange(range)}, to and from other hosts${inside}`;
}

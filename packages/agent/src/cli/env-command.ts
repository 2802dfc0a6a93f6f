/** weft env: where services are, as programs take it from their environment. */
import { formatPortRange, type PortRange } from '@weft/proto';
import { UsageError } from './errors.ts';
import { writeJsonInOwnWords } from './json.ts';
import { findHere, type LocalOptions, localStatus, type ServiceHere, servicesHere } from './local-services.ts';
import type { EnvFormat } from './options.ts';
import type { Terminal } from './terminal.ts';

export interface EnvOptions extends LocalOptions {
  readonly format?: EnvFormat;
  readonly json?: true;
}

export type Variables = readonly (readonly [name: string, value: string])[];

const WRITTEN: Readonly<Record<Exclude<EnvFormat, 'json'>, (variables: Variables) => string>> = {
  // Of names and values that need no quotes: see `word`, and addresses and numbers.
  dotenv: (variables) => variables.map(([name, value]) => `${name}=${value}\n`).join(''),
  shell: (variables) => variables.map(([name, value]) => `export ${name}='${value}'\n`).join(''),
};

/** One service, or all that this host reaches. Throws UsageError, and what localStatus does. */
export async function env(service: string | undefined, options: EnvOptions, terminal: Terminal): Promise<void> {
  const { json, format = json === undefined ? 'dotenv' : 'json' } = options;
  if (json !== undefined && format !== 'json')
    throw new UsageError(`--json is --format json; found --format ${format} beside it`);
  if (service?.includes(':'))
    throw new UsageError(`SERVICE is a service's name alone; found ${JSON.stringify(service)}`);
  const agent = await localStatus(options, terminal);
  const listed = service === undefined ? servicesHere(agent) : [findHere(agent, service)];
  const variables = listed.flatMap(variablesOf);
  if (format === 'json') writeJsonInOwnWords(terminal, { variables: Object.fromEntries(variables) });
  else terminal.out(WRITTEN[format](variables));
}

/** `REDIS_HOST` and `REDIS_PORT`; of several ports `RABBIT_PORT_5672` and its like. */
export function variablesOf({ service, address, ports }: ServiceHere): Variables {
  if (address === null) return [];
  const name = word(service);
  const told = ports.map((range): readonly [string, string] => {
    const sort = range.first === range.last ? 'PORT' : 'PORTS';
    const suffix = ports.length === 1 ? '' : `_${word(formatPortRange(range))}`;
    return [`${name}_${sort}${suffix}`, numbers(range)];
  });
  return [[`${name}_HOST`, address], ...told];
}

/** A letter, then letters, digits and underscores: all that a shell takes as a name. */
function word(text: string): string {
  return text.toUpperCase().replace(/[^A-Z0-9]/g, '_');
}

function numbers({ first, last }: PortRange): string {
  return first === last ? String(first) : `${first}-${last}`;
}

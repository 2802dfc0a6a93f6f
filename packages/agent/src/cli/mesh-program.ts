/** The commands about a network's mesh: what is in force, what would change, what was, and who did it. */
import type { Command } from 'commander';
import type { ExitCode } from './errors.ts';
import { admin, example, json, leaveBehind, network, wide } from './options.ts';
import type { Terminal } from './terminal.ts';

export function meshProgram(
  program: Command,
  terminal: Terminal,
  signal: AbortSignal,
  exit: (code: ExitCode) => void,
): void {
  const applying = admin(program.command('apply').description('set the services and policies of a network'))
    .requiredOption('-f, --file <FILE>', 'the mesh file; - is stdin')
    .option('--dry-run', 'print the difference and change nothing')
    .option('--wait', 'return when every connected agent enforces it, and name those that do not')
    .option('--timeout <DURATION>', 'how long to wait', '10s')
    .option('--expect <REVISION>', 'change nothing when the mesh was changed since this revision')
    .option('--yes', 'do not ask, though it takes more than half of the services away')
    .addOption(leaveBehind())
    .addOption(json())
    .action(async (options) => (await import('./apply-command.ts')).apply(options, terminal, signal));
  example(applying, 'weft apply -f mesh.yaml --dry-run', 'weft apply -f mesh.yaml --wait');

  const differing = admin(
    program.command('diff').description('what an apply of a file would change; exit code 3 when anything'),
  )
    .requiredOption('-f, --file <FILE>', 'the mesh file; - is stdin')
    .addOption(json())
    .action(async (options) => exit(await (await import('./apply-command.ts')).diff(options, terminal, signal)));
  example(differing, 'weft diff -f mesh.yaml');

  const getting = admin(program.command('get').description('print the mesh in force, as a file that apply takes'))
    .addOption(network())
    .option('--revision <REVISION>', 'the mesh as of this revision')
    .addOption(json())
    .action(async (options) => (await import('./mesh-commands.ts')).get(options, terminal, signal));
  example(getting, 'weft get --network prod > mesh.yaml', 'weft get --revision 7');

  const telling = admin(program.command('history').description('list the meshes that were applied, newest first'))
    .addOption(network())
    .addOption(wide())
    .addOption(json())
    .action(async (options) => (await import('./mesh-commands.ts')).history(options, terminal, signal));
  example(telling, 'weft history --network prod');

  const returning = admin(
    program.command('rollback').description('apply the mesh of a revision again, after a question'),
  )
    .argument('<revision>', 'its number, from weft history')
    .addOption(network())
    .option('--yes', 'do not ask')
    .addOption(leaveBehind())
    .option('--wait', 'return when every connected agent enforces it, and name those that do not')
    .option('--timeout <DURATION>', 'how long to wait', '10s')
    .addOption(json())
    .action(async (to, options) => (await import('./mesh-commands.ts')).rollback(to, options, terminal, signal));
  example(returning, 'weft rollback 7', 'weft rollback 7 --yes --wait');

  const auditing = admin(program.command('audit').description('list who did what, oldest first'))
    .addOption(network())
    .option('--limit <NUMBER>', 'how many of the newest', '100')
    .addOption(wide())
    .addOption(json())
    .action(async (options) => (await import('./audit-command.ts')).audit(options, terminal, signal));
  example(auditing, 'weft audit --network prod --limit 20');

  const linting = program
    .command('lint')
    .description('check a mesh file with its tests, or an agent file, without a server; exit code 2 when it is wrong')
    .argument('<file>', 'either file; - is stdin')
    .addOption(json())
    .action(async (path, options) => exit(await (await import('./file-commands.ts')).lint(path, options, terminal)));
  example(linting, 'weft lint mesh.yaml', 'weft lint weft.yaml');

  const describing = program
    .command('schema')
    .description('print the JSON schema of the mesh file, the agent file, or of what a command prints with --json')
    .argument('<what...>', 'mesh, agent, a command that takes --json, or error')
    .action(async (what) => (await import('./file-commands.ts')).schema(what, terminal));
  example(describing, 'weft schema mesh > mesh.schema.json', 'weft schema token list');

  const networks = program.command('network').description('networks of a control');
  example(networks, 'weft network list');
  const list = admin(networks.command('list').description('list networks'))
    .addOption(wide())
    .addOption(json())
    .action(async (options) => (await import('./audit-command.ts')).networkList(options, terminal, signal));
  example(list, 'weft network list --json');
  const removing = admin(networks.command('remove').description('end a network, after a question for its name'))
    .argument('<network>', 'its name')
    .option('--yes <NETWORK>', 'do not ask: its name again')
    .addOption(json())
    .action(async (name, options) =>
      (await import('./audit-command.ts')).networkRemove(name, options, terminal, signal),
    );
  example(removing, 'weft network remove preview', 'weft network remove preview --yes preview');
}

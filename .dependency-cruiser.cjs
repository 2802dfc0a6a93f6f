// The walls between the parts. Each rule's comment is its reason.
const noReach = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to },
});

/**
 * The rooms of a program, from the ground up: [folders, what they are]. A room imports those below it and never one above;
 * folders of one room stand side by side and import each other only where `beside` says so. Tests may look anywhere.
 */
const rooms = (root, layers, beside = {}) =>
  layers
    .flatMap(([folders, comment], index) => {
      const above = layers.slice(index + 1).flatMap(([names]) => names);
      return folders.map((folder) => {
        const kept = beside[folder] ?? [];
        const others = folders.filter((other) => other !== folder && !kept.includes(other));
        const closed = [...others, ...above];
        return closed.length === 0
          ? []
          : noReach(
              `${root.split('/')[1]}-${folder}`,
              comment,
              `^${root}/${folder}/(?!.*\\.(test|fixture)\\.ts$)`,
              `^${root}/(${closed.join('|')})/`,
            );
      });
    })
    .flat();

const AGENT = rooms(
  'packages/agent/src',
  [
    [['words'], 'Words are types that all rooms share: they know none of them.'],
    [['config'], 'The files that users write, read into plain values.'],
    [['guard'], 'A table of its own that closes places of this host: it knows no agent.'],
    [['bytes'], 'Bytes move between sockets and conduits, whatever they mean.'],
    [['owner'], 'Who on this host makes a call, as the kernel tells: it knows no netmap and no flow.'],
    [['protocol'], 'A protocol core is bytes in, bytes out.'],
    [['tunnel'], 'Tunnels carry bytes between proven keys; who may do what is decided above them.'],
    [['netmap'], 'What control said, as this agent sees it.'],
    [['flows'], 'A flow is judged, tracked, counted and recorded, whichever way it goes.'],
    [
      ['inbound', 'outbound', 'egress', 'gateway', 'dns'],
      'Five ways in and out. Outbound and egress open sockets of this host as inbound does; they share nothing else.',
    ],
    [['sandbox'], 'A program that is shut in calls as others do, from a place of its own: nobody below knows of it.'],
    [['member'], 'Who this agent is, and the files that say so.'],
    [['link'], 'The stream to control.'],
    [['observe'], 'What the agent tells of itself: it looks at all below, and nothing below waits for it.'],
    [['run'], 'Puts the agent together.'],
    [['cli'], 'The commands drive the agent, not the other way round.'],
  ],
  { outbound: ['inbound'], egress: ['inbound'] },
);

const CONTROL = rooms('packages/control/src', [
  [['store', 'bounds'], 'SQL stays in the store, and the store knows no one above it; bounds know nobody at all.'],
  [['backup'], 'All that control is, in one file and back: it knows files and the store, and nothing that runs.'],
  [['audit'], 'Who did what, beside the change it tells of.'],
  [['state'], 'What is: one writer.'],
  [['netmap', 'flows', 'traffic'], 'What is: the view of one agent, the flows that were, what moves now.'],
  [['enroll', 'fleet'], 'How one becomes a member; how members fare.'],
  [['admin', 'watch'], 'What may be asked of control; what agents are told.'],
  [
    ['rpc', 'dashboard', 'metrics'],
    'Adapters say what admin, fleet and state know in their own form, and know none of each other.',
  ],
  [['cli'], 'The command starts control.'],
]);

module.exports = {
  forbidden: [
    ...AGENT,
    ...CONTROL,
    {
      name: 'no-circular',
      comment: 'A cycle hides which part leads.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    noReach(
      'proto-imports-nobody',
      'proto is what both programs agree on; it can depend on neither.',
      '^packages/proto/',
      '^packages/(agent|control)/',
    ),
    noReach('control-not-agent', 'control and agent meet only on the wire.', '^packages/control/', '^packages/agent/'),
    noReach('agent-not-control', 'control and agent meet only on the wire.', '^packages/agent/', '^packages/control/'),
    noReach(
      'generated-only-in-wire',
      'Generated types stop at the border: everything else speaks the model.',
      '^packages/(agent|control)/|^packages/proto/src/(model|policy)/',
      '^packages/proto/generated/',
    ),
    noReach(
      'model-is-plain',
      'The model and the evaluator are plain values and functions, usable anywhere.',
      '^packages/proto/src/(model|policy)/',
      '^packages/proto/src/wire/',
    ),
    {
      name: 'one-log',
      comment: 'A log line holds what strangers say: openLog of proto/observe escapes it for all.',
      severity: 'error',
      from: {
        path: '^packages/(agent|control)/src/(?!.*\\.(test|fixture)\\.ts$)',
        pathNot: '^packages/agent/src/observe/logger',
      },
      to: { path: 'node_modules/pino/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'model-without-node',
      comment: 'The page, in a browser, speaks the same words.',
      severity: 'error',
      from: { path: '^packages/proto/src/(model|policy)/(?!.*\\.test\\.ts$)' },
      to: { dependencyTypes: ['core'] },
    },
    noReach(
      'model-below-node',
      'What needs Node stands on the model, and not the other way round.',
      '^packages/proto/src/(model|policy)/(?!.*\\.test\\.ts$)',
      '^packages/proto/src/(node|observe|bounds|files|house)/',
    ),
    noReach(
      'protocol-is-pure',
      'A protocol core is bytes in, bytes out: sockets, timers and files belong to its driver.',
      '^packages/agent/src/protocol/(?!.*\\.test\\.ts$)',
      '^(node:)?(net|dgram|tls|http|https|fs|fs/promises|timers|timers/promises|child_process)$|^packages/agent/src/(?!protocol/|words/)',
    ),
  ],
  options: {
    // A package of this workspace is met as its dist: seen, so that the walls hold, and not followed.
    doNotFollow: { path: 'node_modules|(^|/)dist/' },
    tsPreCompilationDeps: true,
    moduleSystems: ['es6'],
    builtInModules: { add: ['node:sqlite'] },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types', 'node', 'default'] },
  },
};

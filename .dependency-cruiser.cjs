// The walls between the parts. Each rule's comment is its reason.
const noReach = (name, comment, from, to) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from },
  to: { path: to },
});

module.exports = {
  forbidden: [
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
    noReach(
      'protocol-is-pure',
      'A protocol core is bytes in, bytes out: sockets, timers and files belong to its driver.',
      '^packages/agent/src/protocol/(?!.*\\.test\\.ts$)',
      '^(node:)?(net|dgram|tls|http|https|fs|fs/promises|timers|timers/promises|child_process)$|^packages/agent/src/(?!protocol/)',
    ),
    noReach(
      'tunnel-knows-no-policy',
      'Tunnels carry bytes between proven keys; who may do what is decided by inbound and outbound.',
      '^packages/agent/src/tunnel/',
      '^packages/agent/src/(netmap|outbound|inbound|gateway|dns|cli)/',
    ),
    noReach(
      'data-path-not-cli',
      'The commands drive the agent, not the other way round.',
      '^packages/agent/src/(?!cli/|main\\.ts)',
      '^packages/agent/src/cli/',
    ),
    noReach(
      'store-is-the-bottom',
      'SQL stays in the store, and the store knows no one above it.',
      '^packages/control/src/store/',
      '^packages/control/src/(?!store/)',
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

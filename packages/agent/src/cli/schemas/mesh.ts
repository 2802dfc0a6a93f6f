/** Answers about the mesh: what is in force, what changed, and the files. */
import { ACTIONS, CHANGE_OPERATIONS } from '@weft/proto';
import { z } from 'zod';
import { FILE_SORTS } from '../../config/json-schema.ts';
import { meshSection } from '../../config/mesh-file.ts';
import {
  actor,
  count,
  fieldProblem,
  fileProblem,
  flag,
  list,
  revision,
  takenUp,
  text,
  texts,
  timeMs,
  told,
} from './form.ts';

export const changes = list(
  told({
    operation: z.enum(CHANGE_OPERATIONS),
    subject: text.describe('such as service redis'),
    detail: text.describe('what of it; empty when it says itself'),
  }),
);
export const hostReach = list(
  told({
    hosts: texts.describe('whose programs of no known service reach it now, or no more: the first'),
    hostCount: count,
    to: texts.describe('such as redis:6379: the first'),
    toCount: count,
    verdict: z.enum(ACTIONS).describe('what is so from now on'),
    rule: text.describe('that decides it, or default'),
  }),
);
const changed = { network: text, revision, changes, hostReach };

export const get = told({ network: text, revision, mesh: meshSection.describe('the mesh file, which apply takes') });

export const apply = told({
  ...changed,
  dryRun: flag.describe('true: nothing was changed'),
  warnings: list(fieldProblem),
  ...takenUp,
});

export const diff = told({ ...changed, warnings: list(fieldProblem) });

export const rollback = told({ ...changed, from: revision, ...takenUp });

export const history = told({
  revisions: list(told({ revision, appliedMs: timeMs, changes })).describe('newest first'),
});

export const audit = told({
  entries: list(
    told({
      sequence: count,
      timeMs,
      actor,
      action: text,
      network: text.describe('empty when it concerns none'),
      subject: text.describe(
        'such as agent data-1; of a rollback the revision that is in force again, such as revision 7',
      ),
      revision: revision.describe('that it made; 0: none'),
      detail: text,
    }),
  ).describe('oldest first'),
});

export const networkList = told({
  networks: list(
    told({
      network: text,
      revision,
      services: count,
      agents: count,
      connected: count,
      behind: count.describe('connected agents that do not enforce the newest revision'),
    }),
  ),
});

export const networkRemove = told({ network: text, revision, hosts: texts.describe('members that it ended') });

export const lint = told({
  file: text,
  sort: z.enum(FILE_SORTS).nullable().describe('null: it could not be read'),
  problems: list(fileProblem),
  warnings: list(fileProblem),
});

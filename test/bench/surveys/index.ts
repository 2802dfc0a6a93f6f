import { connectionSteps } from './connection-steps.ts';
import type { Survey } from './survey.ts';

export const surveys: readonly Survey[] = [connectionSteps];

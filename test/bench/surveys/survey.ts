/** What is told as a table of its own: nothing to reach, but where something goes. */
import { messageOf } from '@weft/proto';

export interface SurveyTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** One plain sentence: how it was measured. */
  readonly how: string;
}

export interface Survey {
  readonly name: string;
  readonly title: string;
  missing?(): Promise<string | undefined>;
  /** Ends all it started, also when the signal is aborted or it fails. */
  measure(quick: boolean, signal: AbortSignal): Promise<SurveyTable>;
}

export interface SurveyFigures {
  readonly name: string;
  readonly title: string;
  /** Undefined when it could not be made; `reason` says why. */
  readonly table: SurveyTable | undefined;
  readonly reason: string;
  readonly failed: boolean;
}

/** One after the other; one that fails is told of, and the others are made all the same. */
export async function makeSurveys(
  surveys: readonly Survey[],
  quick: boolean,
  signal: AbortSignal,
  tell: (line: string) => void,
): Promise<readonly SurveyFigures[]> {
  const figures: SurveyFigures[] = [];
  for (const survey of surveys) {
    signal.throwIfAborted();
    tell(survey.title);
    const { name, title } = survey;
    try {
      const missing = await survey.missing?.();
      const table = missing === undefined ? await survey.measure(quick, signal) : undefined;
      figures.push({ name, title, table, reason: missing ?? '', failed: false });
    } catch (error) {
      signal.throwIfAborted();
      const reason = messageOf(error);
      figures.push({ name, title, table: undefined, reason, failed: true });
    }
  }
  return figures;
}

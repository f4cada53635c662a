/** Which models this process can have answered: of stages in other processes it knows nothing, and takes them for working. */

/** What every model needs: all of the process, what cuts its tensors, and the workers. */
const everyModels = ['pipeline', 'preprocess', 'engine'];

/** `troubles`: as /ready has them, by stage. `answers`: whether the engine of this process has it; null: there is none here. */
export const ableModel = (model: string, troubles: Readonly<Record<string, string>>, answers: boolean | null = null): boolean =>
  answers !== false && ![...everyModels, `infer.${model}`].some((stage) => stage in troubles);

/** Which models this process can have answered: of stages in other processes it knows nothing, and takes them for working. */

/** What every model needs: all of the process, what cuts its tensors, and the workers. */
const everyModels = ['pipeline', 'preprocess', 'engine'];

/** `troubles`: as /ready has them, by stage. */
export const ableModel = (model: string, troubles: Readonly<Record<string, string>>): boolean => ![...everyModels, `infer.${model}`].some((stage) => stage in troubles);

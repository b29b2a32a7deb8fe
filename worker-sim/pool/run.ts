export async function runPool(_env: NodeJS.ProcessEnv): Promise<void> {}

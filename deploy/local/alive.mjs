/** Whether some process has this pid now; process-birth.ts also tells whether it is still the same one. Plain JavaScript because its users are. */
export function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

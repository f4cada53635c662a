/** Threads of the libuv pool of the child: more than all of the engine's lanes take, so that gzip never waits for SQL. */
export const threads = 10;

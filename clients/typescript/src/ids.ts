/** Ids of a Tidegate log, `<epoch>-<seq>`: the only ones that can be compared. */

/** Whether `id` is a later position than `seen`, as far as they can be compared. */
export function isAfter(id: string, seen: string): boolean {
  const [, epoch, seq] = /^(.+)-(\d+)$/.exec(id) ?? []
  const [, seenEpoch, seenSeq] = /^(.+)-(\d+)$/.exec(seen) ?? []
  return epoch && epoch === seenEpoch ? Number(seq) > Number(seenSeq) : id !== seen
}

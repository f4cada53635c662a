/** An assigner by which a member gets exactly the partitions it claims, of every topic, whatever the others hold. */
import { AssignerProtocol, type PartitionAssigner } from 'kafkajs';

const { MemberMetadata, MemberAssignment } = AssignerProtocol;
const name = 'saccade-claim';

/**
 * Each member carries its claim in its metadata, so whichever member leads the group honours all of them. Two members may
 * so hold the same partition: a process that died and its successor, until the session of the dead one ends.
 */
export const claimAssigner =
  (claim: readonly number[]): PartitionAssigner =>
  () => ({
    name,
    version: 0,
    protocol: ({ topics }) => ({
      name,
      metadata: MemberMetadata.encode({ version: 0, topics, userData: Buffer.from(JSON.stringify(claim)) }),
    }),
    assign: async ({ members, topics }) =>
      members.map(({ memberId, memberMetadata }) => {
        const claimed: number[] = JSON.parse(MemberMetadata.decode(memberMetadata)?.userData.toString() || '[]');
        const assignment = Object.fromEntries(topics.map((topic) => [topic, claimed]));
        return { memberId, memberAssignment: MemberAssignment.encode({ version: 0, assignment, userData: Buffer.alloc(0) }) };
      }),
  });

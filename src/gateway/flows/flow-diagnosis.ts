/** What the flow log and the one-way detector have to say of a gateway, as `status` and `doctor` tell it. */
import { type Finding, ok, problem, skipped, warning } from '../doctor/finding.ts';
import { describeLogFault } from './flow-problems.ts';
import type { MeshFlows } from './mesh-flows.ts';

export async function diagnoseFlows(
  flows: Pick<MeshFlows, 'state' | 'describe'>,
): Promise<Finding[]> {
  const { log, fault } = flows.state;
  const sentences = await flows.describe();
  const oneWay =
    sentences.length > 0
      ? sentences.map((text) => problem('one-way', text))
      : [
          fault === null
            ? ok('one-way', 'No traffic is known to go one way.')
            : warning('one-way', `Connections cannot be followed: ${fault}`),
        ];
  if (log === null) return [...oneWay, skipped('flow-log', 'It is off.')];
  const faults = describeLogFault(log);
  if (faults.length > 0) return [...oneWay, ...faults.map((text) => problem('flow-log', text))];
  return [...oneWay, ok('flow-log', `${log.written} records to ${log.target}.`)];
}

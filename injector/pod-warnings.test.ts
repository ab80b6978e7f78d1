import assert from 'node:assert/strict';
import { test } from 'node:test';
import { container, injected, podOf } from './pod.fixture.ts';

test("an application that runs as the proxy's user, whose traffic is not captured, is warned about", () => {
  const own = podOf({ containers: [container({ securityContext: { runAsUser: 2102 } })] });
  assert.match(injected(own).warnings[0] ?? '', /container web runs as user 2102, .*outside the mesh/);
  const whole = podOf({ securityContext: { runAsUser: 2102 } });
  assert.match(injected(whole).warnings[0] ?? '', /container web runs as user 2102/);
  const other = podOf({
    securityContext: { runAsUser: 2102 },
    containers: [container({ securityContext: { runAsUser: 1000 } })],
  });
  assert.deepEqual(injected(other).warnings, []);
});

test("an application on a port of the proxy's is warned about", () => {
  const pod = podOf({ containers: [container({ ports: [{ containerPort: 4191 }, { containerPort: 80 }] })] });
  assert.deepEqual(injected(pod).warnings, [
    "container web has the port 4191, which is the proxy's; choose another",
  ]);
});

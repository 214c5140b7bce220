// `/widget/official?stream=app/name`: the stream for its audience. The same as the preview, but a few seconds further
// back, because there smoothness is worth more than nearness. Also `theme=light|dark`, `muted=1`, `title=`.

import { startWidget } from "./preview/widget";

startWidget({ lowLatency: false });

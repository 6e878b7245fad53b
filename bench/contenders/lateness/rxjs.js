import { Subject, bufferTime } from 'rxjs';
import { lateness } from '../../lib/lateness.js';

export const run = (params, meter) =>
  lateness(
    params,
    (flushed) => {
      const subject = new Subject();
      subject.pipe(bufferTime(params.age, null, 1000)).subscribe((items) => items.length > 0 && flushed(items[0]));
      return (at) => subject.next(at);
    },
    meter,
  );

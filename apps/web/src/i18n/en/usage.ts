export const usage = {
  title: 'Usage',
  unpriced: '{n} request of unknown price | {n} requests of unknown price',
  unmeasured: '{n} request of unknown size | {n} requests of unknown size',
};

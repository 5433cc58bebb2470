//! Instances of one plugin: made, lent for one call, used again. An instance
//! comes back only from a call that ended well; every other end, a dropped
//! future included, drops it with its lease.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};
use wasmtime::Store;
use wasmtime::component::{self, InstancePre, Resource};

use super::console::OutputLog;
use super::error::{PluginError, PluginErrorKind};
use super::sandbox::{Deadline, Milliseconds, Outcome, Sandbox, within};
use super::settings::{Limits, SlotSettings};
use super::usage::Usage;
use super::world::World;

/// A compiled, configured plugin: everything that its instances are made of.
pub(super) struct Template<W: World> {
    component: InstancePre<Sandbox>,
    indices: W::Indices,
    limits: Limits,
    values: Vec<(String, String)>,
    log: OutputLog,
    /// Whether something did not end within the deadline.
    late: AtomicBool,
    usage: Usage,
}

/// An instance whose functions are not found yet.
pub(super) struct Unbound {
    store: Store<Sandbox>,
    instance: component::Instance,
}

/// One instance in its store.
pub(super) struct Instance<W: World> {
    store: Store<Sandbox>,
    exports: W,
    calls: u64,
}

impl<W: World> Template<W> {
    pub(super) fn new(component: InstancePre<Sandbox>, indices: W::Indices, settings: SlotSettings) -> Self {
        Self {
            component,
            indices,
            limits: settings.limits,
            values: settings.values.into_iter().collect(),
            log: OutputLog::default(),
            late: AtomicBool::new(false),
            usage: Usage::default(),
        }
    }

    /// Whether any call, or the making of an instance, exceeded its deadline.
    pub(super) fn was_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    /// What its calls have used.
    pub(super) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Ends a call, as its store does.
    fn end<R>(&self, store: &mut Store<Sandbox>, outcome: Outcome<R>) -> Result<R, PluginError> {
        self.usage.record(Sandbox::spent(store));
        let ended = store.data_mut().end(outcome, &self.log);
        if ended.as_ref().is_err_and(|error| error.kind == PluginErrorKind::DeadlineExceeded) {
            self.late.store(true, Ordering::Relaxed);
        }
        ended
    }

    /// Makes an instance that is not bound yet. Its clock stands at 0: how an
    /// instance starts must not depend on when.
    pub(super) async fn instantiate(&self) -> Result<Unbound, PluginError> {
        let mut store = Sandbox::store(self.component.engine(), W::SLOT, self.limits);
        Sandbox::begin(&mut store, 0);
        let deadline = Sandbox::deadline(&store);
        let made = self.component.instantiate_async(&mut store);
        let outcome = within(deadline, made).await;
        let instance = self.end(&mut store, outcome)?;
        Ok(Unbound { store, instance })
    }

    /// Finds the functions of an instance; the error lists those that have
    /// another type.
    pub(super) fn bind(&self, unbound: Unbound) -> Result<Instance<W>, Vec<String>> {
        let Unbound { mut store, instance } = unbound;
        let exports = W::bind(&self.indices, &mut store, &instance)?;
        Ok(Instance { store, exports, calls: 0 })
    }

    /// Makes an instance that is not configured yet.
    pub(super) async fn open(&self) -> Result<Instance<W>, PluginError> {
        let unbound = self.instantiate().await?;
        self.bind(unbound).map_err(|problems| error::<W>(PluginErrorKind::Rejected, problems.join("; ")))
    }

    /// Makes an instance that is ready for calls. What goes wrong with a
    /// plugin that once did start makes the instance unfit.
    async fn ready(&self) -> Result<Instance<W>, PluginError> {
        let made = async {
            let mut instance = self.open().await?;
            self.configure(&mut instance).await?;
            Ok(instance)
        };
        made.await.map_err(|unfit: PluginError| {
            let PluginError { kind, message, .. } = unfit;
            error::<W>(PluginErrorKind::Rejected, format!("a new instance {kind}: {message}"))
        })
    }

    /// Asks an instance who it is.
    pub(super) async fn describe(
        &self,
        instance: &mut Instance<W>,
    ) -> Result<super::bindings::identity::PluginInfo, PluginError> {
        Sandbox::begin(&mut instance.store, 0);
        let deadline = Sandbox::deadline(&instance.store);
        let call = instance.exports.identity().call_describe(&mut instance.store);
        let outcome = within(deadline, call).await;
        self.end(&mut instance.store, outcome)
    }

    /// Sets an instance's settings to those of the slot.
    pub(super) async fn configure(&self, instance: &mut Instance<W>) -> Result<(), PluginError> {
        self.configure_with(instance, &self.values).await
    }

    /// Sets an instance's settings to these.
    pub(super) async fn configure_with(
        &self,
        instance: &mut Instance<W>,
        values: &[(String, String)],
    ) -> Result<(), PluginError> {
        Sandbox::begin(&mut instance.store, 0);
        let deadline = Sandbox::deadline(&instance.store);
        let identity = instance.exports.identity();
        let call = identity.call_configure(&mut instance.store, values);
        let outcome = within(deadline, call).await;
        self.end(&mut instance.store, outcome)?
            .map_err(|refusal| error::<W>(PluginErrorKind::Rejected, bounded(&refusal, 1000)))
    }
}

/// The instances of a plugin.
pub(super) struct Pool<W: World> {
    template: Template<W>,
    idle: Mutex<Vec<Instance<W>>>,
    permits: Semaphore,
    /// Set when another plugin serves the slot: instances are kept no longer.
    retired: AtomicBool,
    made: AtomicU64,
}

/// How a pool is used.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct PoolStatus {
    /// Instances that may work at the same time.
    size: usize,
    /// Instances at work now.
    at_work: usize,
    /// Instances that wait for a call.
    idle: usize,
    /// Instances made because none was idle.
    made: u64,
}

/// Linear memory of a plugin's instances.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct MemoryStatus {
    /// What one instance may have: bytes.
    limit_bytes: usize,
    /// The most that one had at the end of a call: bytes.
    peak_bytes: usize,
}

impl<W: World> Pool<W> {
    /// A pool that starts with one configured instance.
    pub(super) fn new(template: Template<W>, first: Instance<W>) -> Self {
        Self {
            permits: Semaphore::new(template.limits.pool_size),
            idle: Mutex::new(vec![first]),
            template,
            retired: AtomicBool::new(false),
            made: AtomicU64::new(0),
        }
    }

    /// What its instances are made of.
    pub(super) fn template(&self) -> &Template<W> {
        &self.template
    }

    /// Keeps instances no longer: those at work end with their calls.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        // Ending them takes a while, and others may ask for one meanwhile.
        let idle = std::mem::take(&mut *self.idle());
        drop(idle);
    }

    pub(super) fn status(&self) -> PoolStatus {
        let size = self.template.limits.pool_size;
        PoolStatus {
            size,
            at_work: size - self.permits.available_permits(),
            idle: self.idle().len(),
            made: self.made.load(Ordering::Relaxed),
        }
    }

    pub(super) fn memory(&self) -> MemoryStatus {
        MemoryStatus {
            limit_bytes: self.template.limits.memory_bytes,
            peak_bytes: self.template.usage.peak_memory_bytes(),
        }
    }

    /// Lends an instance for one call at `at_ms`: an idle one, or one made
    /// for it. Waits no longer than the slot's deadline for its turn.
    pub(super) async fn lease(&self, at_ms: i64) -> Result<Lease<'_, W>, PluginError> {
        let permit = self.turn().await?;
        let idle = self.idle().pop();
        let mut instance = match idle {
            Some(instance) => instance,
            None => {
                let instance = self.template.ready().await?;
                self.made.fetch_add(1, Ordering::Relaxed);
                instance
            }
        };
        instance.calls += 1;
        Sandbox::begin(&mut instance.store, at_ms);
        Ok(Lease { pool: self, instance, _permit: permit })
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, PluginError> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let deadline = self.template.limits.deadline;
        match tokio::time::timeout(deadline, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(error::<W>(
                PluginErrorKind::DeadlineExceeded,
                format!(
                    "all {} instances were busy for {}",
                    self.template.limits.pool_size,
                    Milliseconds(deadline)
                ),
            )),
        }
    }

    /// Sets the idle instances aside: the next call gets one made for it.
    pub(super) fn put_aside(&self) -> Vec<Instance<W>> {
        std::mem::take(&mut self.idle())
    }

    /// Makes these the idle instances.
    pub(super) fn put_back(&self, instances: Vec<Instance<W>>) {
        *self.idle() = instances;
    }

    /// An answer that the contract rules out.
    pub(super) fn nonsense(message: String) -> PluginError {
        error::<W>(PluginErrorKind::Nonsense, message)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Instance<W>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Without instances, and with these settings for the next ones.
    #[cfg(test)]
    pub(super) fn reconfigured(mut self, settings: SlotSettings) -> Self {
        self.put_aside();
        self.template.limits = settings.limits;
        self.template.values = settings.values.into_iter().collect();
        self
    }

    #[cfg(test)]
    pub(super) fn idle_instances(&self) -> usize {
        self.idle().len()
    }

    #[cfg(test)]
    pub(super) fn idle_handles(&self) -> usize {
        let mut idle = self.idle();
        let tables = idle.iter_mut().map(|one| one.store.data_mut().handles());
        tables.map(|table| table.iter_mut().count()).sum()
    }
}

/// An instance, for one call.
pub(super) struct Lease<'pool, W: World> {
    pool: &'pool Pool<W>,
    instance: Instance<W>,
    _permit: SemaphorePermit<'pool>,
}

impl<W: World> Lease<'_, W> {
    /// The instance's functions, and the store to call them in.
    pub(super) fn parts(&mut self) -> (&mut Store<Sandbox>, &W) {
        (&mut self.instance.store, &self.instance.exports)
    }

    /// When the call is to have ended.
    pub(super) fn deadline(&self) -> Deadline {
        Sandbox::deadline(&self.instance.store)
    }

    /// Lends the plugin something of the host for this call.
    pub(super) fn lend<T: Send + 'static>(&mut self, thing: T) -> Result<Lent<T>, PluginError> {
        let pushed = self.instance.store.data_mut().handles().push(thing);
        match pushed {
            Ok(resource) => Ok(Lent(resource)),
            Err(full) => Err(error::<W>(PluginErrorKind::Trapped, full.to_string())),
        }
    }

    /// Takes back what was lent, so that a pooled instance does not grow.
    pub(super) fn take_back<T: 'static>(&mut self, lent: Lent<T>) {
        // An error says that it is gone already, which is what is wanted.
        let _ = self.instance.store.data_mut().handles().delete(lent.0);
    }

    /// Whether the answer may be another one at another time.
    pub(super) fn depends_on_time(&self) -> bool {
        self.instance.store.data().looked_at_moment()
    }

    /// The stages that the call went through.
    pub(super) fn stages(&mut self) -> Vec<(String, f64)> {
        self.instance.store.data_mut().progress().take()
    }

    /// Ends the call. After an answer the instance waits for the next one;
    /// after anything else it is dropped.
    pub(super) fn end<R>(mut self, outcome: Outcome<R>) -> Result<R, PluginError> {
        let template = &self.pool.template;
        let answer = template.end(&mut self.instance.store, outcome)?;
        if self.instance.calls < template.limits.recycle_after {
            let mut idle = self.pool.idle();
            // Looked at under the lock: what retires the pool clears it after.
            if !self.pool.retired.load(Ordering::Acquire) {
                idle.push(self.instance);
            }
        }
        Ok(answer)
    }
}

/// Something of the host's that a plugin holds for one call.
pub(super) struct Lent<T: 'static>(Resource<T>);

impl<T> Lent<T> {
    /// The handle that the plugin gets.
    pub(super) fn borrow(&self) -> Resource<T> {
        Resource::new_borrow(self.0.rep())
    }
}

fn error<W: World>(kind: PluginErrorKind, message: impl Into<String>) -> PluginError {
    PluginError::new(W::SLOT, kind, message)
}

/// A plugin's text, cut to `max` characters.
pub(super) fn bounded(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

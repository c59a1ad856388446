"""Where things lie: filters in lanes, channels in order, parameters and maps in memory."""
